"""Do the arrows of the house point the right way? The contracts stand in pyproject.toml."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import ROOT

LINT_IMPORTS: Final = Path(sys.executable).with_name("lint-imports")

SKELETON: Final = (
    "api/main.py",
    "api/transfers/intake.py",
    "api/wallets/routes.py",
    "hishab/client.py",
    "shared/database/ledger.py",
    "shared/domain/money.py",
    "shared/queue.py",
    "shared/settings.py",
    "worker/lanes/apply.py",
)


def test_the_arrows_point_the_right_way() -> None:
    verdict = _lint_imports(ROOT)
    assert verdict.returncode == 0, verdict.stdout


def test_an_empty_house_keeps_every_contract(tmp_path: Path) -> None:
    _build(tmp_path)
    verdict = _lint_imports(tmp_path)
    assert verdict.returncode == 0, verdict.stdout


@pytest.mark.parametrize(
    ("path", "code", "contract"),
    [
        ("api/transfers/intake.py", "import worker.lanes.apply", "houses"),
        ("worker/lanes/apply.py", "import api.transfers.intake", "houses"),
        ("hishab/client.py", "import api.main", "houses"),
        ("shared/queue.py", "import worker.lanes.apply", "houses"),
        ("shared/queue.py", "import hishab.client", "houses"),
        ("hishab/client.py", "import shared.domain.money", "hishab-speaks-http"),
        ("shared/domain/money.py", "import shared.database.ledger", "shared-inwards"),
        ("shared/settings.py", "import shared.queue", "shared-inwards"),
        ("shared/new.py", "", "shared-inwards"),
        ("shared/domain/money.py", "import random", "pure-domain"),
        ("shared/domain/money.py", "from os import environ", "pure-domain"),
        ("shared/domain/money.py", "import psycopg", "pure-domain"),
        ("api/main.py", "from celery import Celery", "celery-at-the-ends"),
        ("api/main.py", "import redis.asyncio", "celery-at-the-ends"),
        ("worker/lanes/apply.py", "from starlette.responses import Response", "http-at-the-edge"),
        ("worker/lanes/apply.py", "from sqlalchemy import text", "sql-in-its-place"),
        ("shared/queue.py", "import sqlalchemy", "sql-in-its-place"),
        ("hishab/client.py", "import psycopg", "database-stays-with-the-server"),
    ],
)
def test_a_wrong_arrow_breaks_its_contract(tmp_path: Path, path: str, code: str, contract: str) -> None:
    _build(tmp_path)
    tmp_path.joinpath(path).write_text(code + "\n", encoding="utf-8")
    assert "0 kept, 1 broken" in _lint_imports(tmp_path, "--contract", contract).stdout


def test_a_ring_breaks_its_contract(tmp_path: Path) -> None:
    _build(tmp_path)
    tmp_path.joinpath("api/transfers/intake.py").write_text("import api.wallets.routes\n", encoding="utf-8")
    tmp_path.joinpath("api/wallets/routes.py").write_text("import api.transfers.intake\n", encoding="utf-8")
    assert "0 kept, 1 broken" in _lint_imports(tmp_path, "--contract", "no-rings").stdout


def _build(house: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", house)
    for name in SKELETON:
        module = house / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()
        for folder in module.relative_to(house).parents:
            if folder != Path():
                (house / folder / "__init__.py").touch()


def _lint_imports(house: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [LINT_IMPORTS, "--no-logo", "--no-cache", *options]
    return subprocess.run(command, cwd=house, capture_output=True, check=False, text=True)
