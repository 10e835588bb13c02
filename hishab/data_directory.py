"""Keep what must outlive a run: the lock that admits one launcher, the secrets, and who is running."""

import errno
import fcntl
import json
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700

SECRET_BYTES: Final = 32
"""As shared/settings.py asks of keys and pepper, and what a Fernet key is."""


class CannotStartError(Exception):
    """Something in the surroundings must be mended first; the message says what, in one plain sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the parts are told and nobody else: in the form that their settings want."""

    token_keys: str = field(repr=False)
    pin_pepper: str = field(repr=False)
    webhook_secret_keys: str = field(repr=False)
    postgres_password: str = field(repr=False)
    broker_password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where a running system is found. `parts` maps names to process ids; a part run by others is not among them."""

    url: str
    pid: int
    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    parts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The places in a data directory. Got from `taken`."""

    path: Path

    @property
    def postgres(self) -> Path:
        """The private PostgreSQL's data; absent until they are whole."""
        return self.path / "postgres"

    @property
    def broker(self) -> Path:
        """The private broker's data."""
        return self.path / "broker"

    @property
    def operator_key(self) -> Path:
        """The first operator's API key, one line."""
        return self.path / "operator.key"

    @property
    def _secrets(self) -> Path:
        return self.path / "secrets.json"

    @property
    def _running(self) -> Path:
        return self.path / "running.json"

    def secrets(self) -> Secrets:
        """Return the secrets, made on first use.

        Raises:
            CannotStartError: They are missing or broken while a database depends on them.
        """
        try:
            return Secrets(**json.loads(self._secrets.read_text(encoding="ascii")))
        except FileNotFoundError:
            if self.postgres.exists():
                raise CannotStartError(
                    f"{self._secrets} is missing, and the database beside it cannot be opened without: restore it."
                ) from None
        except (ValueError, TypeError) as error:
            raise CannotStartError(f"{self._secrets} is damaged ({error}): restore it.") from error
        made = _new_secrets()
        write_private(self._secrets, text=json.dumps(asdict(made), indent=1))
        return made

    def announce(self, running: Running) -> None:
        """Tell the other commands where the system is."""
        write_private(self._running, text=json.dumps(asdict(running), indent=1))

    def announced(self) -> Running | None:
        """Return what was announced last; None after a clean stop."""
        try:
            return Running(**json.loads(self._running.read_text(encoding="ascii")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def withdraw(self) -> None:
        """Tell the other commands that nothing runs here any more."""
        self._running.unlink(missing_ok=True)


@contextmanager
def taken(path: Path) -> Generator[DataDirectory]:
    """Make the directory if need be, and hold it against any other launcher until the block is left.

    Raises:
        CannotStartError: It cannot be used, or somebody else holds it.
    """
    path = path.absolute()
    try:
        path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        _refuse_foreign(path)
        _refuse_read_only(path)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    except OSError as error:
        raise CannotStartError(
            f"{path} cannot be the data directory: {error.strerror}. Choose another with --data-dir."
        ) from error
    try:
        _hold(lock, path=path)
        yield DataDirectory(path)
    finally:
        os.close(lock)


def write_private(path: Path, *, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make sure that names made or changed in a directory survive a power cut."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _refuse_foreign(path: Path) -> None:
    if path.stat().st_uid != os.geteuid():
        raise CannotStartError(f"{path} belongs to another user ({path.owner()}): run hishab up as that user.")


def _refuse_read_only(path: Path) -> None:
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "it cannot be written to")


def _hold(lock: int, *, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
        raise CannotStartError(
            f"Another hishab up (process {holder}) already runs on {path}. Stop it, or choose another --data-dir."
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())


def _new_secrets() -> Secrets:
    return Secrets(
        token_keys=f"{secrets.token_hex(4)}:{secrets.token_hex(SECRET_BYTES)}",
        pin_pepper=secrets.token_hex(SECRET_BYTES),
        webhook_secret_keys=urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode(),
        postgres_password=secrets.token_hex(SECRET_BYTES),
        broker_password=secrets.token_hex(SECRET_BYTES),
    )
