"""Does ruff, as configured, refuse what the house bans by name?"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

RUFF = Path(sys.executable).with_name("ruff")

DEEP = (
    "def f(*, x: int) -> int:\n"
    + "".join(f"    if x == {n}:\n        return {n}\n" for n in range(9))
    + "    return 9\n"
)


@pytest.mark.parametrize(
    ("path", "code", "rule"),
    [
        ("worker/a.py", "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n", "TID251"),
        ("worker/a.py", "from datetime import datetime\n\nNOW = datetime.utcnow()\n", "TID251"),
        ("worker/a.py", "from uuid import uuid4\n\nKEY = uuid4()\n", "TID251"),
        ("worker/a.py", "from uuid_utils.compat import uuid7\n\nKEY = uuid7()\n", "TID251"),
        ("worker/a.py", "import time\n\ntime.sleep(1)\n", "TID251"),
        ("tests/unit/test_a.py", "import time\n\ntime.sleep(1)\n", "TID251"),
        ("tests/unit/test_a.py", "from unittest.mock import patch\n", "TID251"),
        ("worker/a.py", "print('done')\n", "T201"),
        ("worker/a.py", DEEP, "C901"),
        ("worker/a.py", "try:\n    go()\nexcept Exception:\n    pass\n", "BLE001"),
        ("worker/a.py", "from . import b\n", "TID252"),
        ("worker/a.py", "def f(x: int, flag: bool) -> None: ...\n", "FBT001"),
        ("worker/a.py", "def move(tx, a, b, c, d) -> None: ...\n", "PLR0917"),
        ("worker/a.py", "x = 1\n", "D100"),
        ("worker/a.py", f"x = '{'x' * 120}'\n", "E501"),
    ],
)
def test_ruff_refuses(path: str, code: str, rule: str) -> None:
    assert f" {rule} " in _complaints(path, code=code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("shared/clock.py", '"""Tell the time."""\n\nfrom datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n'),
        ("hishab/a.py", '"""Say."""\n\nprint("done")\n'),
        ("tests/unit/test_a.py", '"""Is it so?"""\n\n\ndef test_it() -> None:\n    assert int("12") == 12\n'),
    ],
)
def test_ruff_lets_pass(path: str, code: str) -> None:
    assert _complaints(path, code=code) == "All checks passed!\n"


def _complaints(path: str, *, code: str) -> str:
    command = [RUFF, "check", "--no-cache", "--output-format", "concise", "--stdin-filename", path, "-"]
    return subprocess.run(command, input=code, cwd=ROOT, capture_output=True, check=False, text=True).stdout
