"""Do the README's lines work as they stand?"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.running_system import System

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the README's lines need curl")


def blocks_under(heading: str) -> str:
    """Take the commands under a heading of the README."""
    section = README.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL))


def run(commands: str, *, system: System, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run commands in a shell, against a system on another port and with another data directory."""
    here = commands.replace("http://127.0.0.1:8000", system.url)
    here = re.sub(r"\.venv/bin/hishab (\w+)", rf"{sys.executable} -m hishab \1 --data-dir {system.data_dir}", here)
    assert here != commands
    return subprocess.run(["bash", "-c", here], cwd=directory, capture_output=True, text=True, timeout=120, check=False)


def test_a_first_transfer(system: System, tmp_path: Path) -> None:
    ran = run(blocks_under("A first transfer"), system=system, directory=tmp_path)
    assert ran.returncode == 0, ran.stderr
    signed_up = re.findall(r'\{"id":[^\n]*?"opening_grant":\{.*?\}\}\}', ran.stdout)
    asha, bimal = (json.loads(answer) for answer in signed_up)
    assert (asha["opening_grant"]["amount"], bimal["name"]) == (500_000, "Bimal")
    assert "HTTP/1.1 202 Accepted" in ran.stdout
    assert '"amount":12550' in ran.stdout
    assert '"currency":"BDT","balance":' in ran.stdout

    again = run(blocks_under("A first transfer"), system=system, directory=tmp_path)
    assert "idempotent-replayed: true" in again.stdout

    def balance_moved_once() -> bool:
        shown = run(blocks_under("A first transfer"), system=system, directory=tmp_path).stdout
        return f'"wallet_id":"{asha["wallet_id"]}","currency":"BDT","balance":487450' in shown

    eventually(balance_moved_once)


def test_files_of_payments(system: System, tmp_path: Path) -> None:
    ran = run(blocks_under("Files of payments"), system=system, directory=tmp_path)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    results = (tmp_path / "payments.results.csv").read_text().splitlines()
    assert results[0] == "row,reference,transfer_id,status,failure_code"
    assert [line.split(",")[3:] for line in results[1:]] == [["succeeded", ""], ["failed", "insufficient_funds"]]
