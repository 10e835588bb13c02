"""See that the servers answer which a start was told to use, before anything is started that would wait for them."""

import socket
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from hishab.data_directory import CannotStartError
from hishab.launch_plan import Wishes

ANSWER_SECONDS_MAX: Final = 5.0

POSTGRES_SCHEMES: Final = ("postgresql", "postgres")
POSTGRES_PORT: Final = 5432
POSTGRES_FORM: Final = "postgresql://user:password@host:port/name"
BROKER_SCHEMES: Final = ("redis", "rediss")
BROKER_PORT: Final = 6379
BROKER_FORM: Final = "redis://:password@host:port/0"


def require_answers(wishes: Wishes) -> None:
    """Knock at the PostgreSQL and the broker that were named.

    Raises:
        CannotStartError: One does not answer, or its URL is none. No password is repeated.
    """
    if wishes.database_url is not None:
        _knock("--database-url", wishes.database_url, form=POSTGRES_FORM, schemes=POSTGRES_SCHEMES, port=POSTGRES_PORT)
    if wishes.broker_url is not None:
        _knock("--broker-url", wishes.broker_url, form=BROKER_FORM, schemes=BROKER_SCHEMES, port=BROKER_PORT)


def _knock(option: str, url: str, *, form: str, schemes: Collection[str], port: int) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in schemes:
        raise CannotStartError(f"{option} is not an address of that kind: it is written {form}.")
    # Without a host it is a socket in the file system; several hosts are tried in turn by whoever connects.
    if host is None or "," in parts.netloc:
        return
    try:
        socket.create_connection((host, port), timeout=ANSWER_SECONDS_MAX).close()
    except OSError as error:
        reason = error.strerror or "timed out"
        raise CannotStartError(
            f"Nothing answers at {host}, port {port} ({reason}): start what {option} names, or mend it."
        ) from error
