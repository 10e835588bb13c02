"""Find the running system that a command is meant for, and the key it lets us in with."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from hishab.data_directory import DataDirectory, Running

API_KEY_VARIABLE = "HISHAB_API_KEY"
DATA_DIR = Path(".hishab")


class NotRunningError(Exception):
    """There is no system to speak to, or no key to it; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the API listens, and the key to it."""

    url: str
    api_key: str = field(repr=False)


def find(*, data_dir: Path, url: str | None, api_key: str | None) -> Connection:
    """Return the system at `url`, which `api_key` opens, or without a URL that which runs on `data_dir`.

    Raises:
        NotRunningError: Nothing runs there, or the key to it is missing.
    """
    return _running_on(data_dir) if url is None else _named(url, api_key=(api_key or "").strip())


def announced_on(data_dir: Path) -> Running | None:
    """Return where the system is that runs on a data directory, None if none does."""
    running = DataDirectory(data_dir).announced()
    return running if running is not None and is_alive(running.pid) else None


def _named(url: str, *, api_key: str) -> Connection:
    if not url.startswith(("http://", "https://")):
        raise NotRunningError(f"--url {url} is no address: it begins with http:// or https://.")
    if not api_key:
        raise NotRunningError(f"--url needs an API key: set {API_KEY_VARIABLE} to it (sk_…).")
    return Connection(url=url.rstrip("/"), api_key=api_key)


def _running_on(data_dir: Path) -> Connection:
    directory = DataDirectory(data_dir)
    start = "Start it with: hishab up" + ("" if data_dir == DATA_DIR else f" --data-dir {data_dir}")
    running = announced_on(data_dir)
    if running is None:
        raise NotRunningError(f"Hishab is not running on {data_dir}. {start}")
    try:
        api_key = directory.operator_key.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotRunningError(f"The operator's key {directory.operator_key} cannot be read: {error}") from error
    return Connection(url=running.url, api_key=api_key)


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's, so it lives.
        return True
    return True
