"""A tethered program is the one asked for, as whom asked for, and ends with whoever asked."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from pwd import getpwnam

import pytest

from hishab import tether
from hishab.tether import Identity
from tests.eventually import eventually
from tests.running_system import is_running

SHOW = "import os; print(os.getpid(), os.geteuid(), os.getegid(), os.getgroups())"
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part in it is Linux's")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def run(*program: str, identity: Identity = Identity.OWN) -> "subprocess.CompletedProcess[str]":
    words = tether.command(program, death_signal=signal.SIGTERM, identity=identity)
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_becomes_the_program_in_the_same_process() -> None:
    words = tether.command([sys.executable, "-c", SHOW], death_signal=signal.SIGTERM, identity=Identity.OWN)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate()
    assert said.split()[0] == str(process.pid)


def test_passes_the_exit_code_on() -> None:
    assert run("sh", "-c", "exit 7").returncode == 7


def test_says_what_cannot_be_started() -> None:
    ended = run("/nowhere/at/all")
    assert ended.returncode == tether.EXIT_CANNOT_RUN
    assert ended.stderr.startswith("Cannot start /nowhere/at/all: ")


def test_does_not_start_for_somebody_who_has_gone() -> None:
    words = tether.command(["echo", "started"], death_signal=signal.SIGTERM, identity=Identity.OWN)
    words[words.index(str(os.getpid()))] = "1"
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == tether.EXIT_CANNOT_RUN
    assert not ended.stdout


@only_root
@only_linux
@pytest.mark.parametrize("identity", [Identity.NAMESPACE, Identity.NOBODY])
def test_is_root_no_more(identity: Identity) -> None:
    ended = run("sh", "-c", "id -u; id -un", identity=identity)
    assert ended.stdout.split() == [str(getpwnam("nobody").pw_uid), "nobody"], ended.stderr


@only_root
@only_linux
def test_keeps_the_files_of_root_in_a_namespace_and_only_there(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("kept")
    (tmp_path / "private").chmod(0o600)
    assert run("cat", str(tmp_path / "private"), identity=Identity.NAMESPACE).stdout == "kept"
    assert run("cat", str(tmp_path / "private"), identity=Identity.NOBODY).returncode != 0


@only_linux
@pytest.mark.parametrize(
    "identity", [Identity.OWN, *([Identity.NAMESPACE, Identity.NOBODY] if os.geteuid() == 0 else [])]
)
def test_ends_with_whoever_asked_for_it(identity: Identity) -> None:
    program = f"""
import subprocess, signal
from hishab import tether
words = tether.command(["sleep", "1000"], death_signal=signal.SIGINT, identity=tether.Identity({identity.value!r}))
print(subprocess.Popen(words).pid, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        eventually(lambda: Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"sleep"))
        assert is_running(child)
        parent.kill()
    eventually(lambda: not is_running(child))
