"""Decide what a start will run: which parts, on which ports, with which settings."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hishab.data_directory import CannotStartError, DataDirectory, Secrets
from hishab.embedded import PrivateBroker, PrivatePostgres, find_broker
from hishab.ports import LOOPBACK, free_ports, is_free
from hishab.postgres_program import find_postgres
from hishab.process import Part

# What each part of ours is run as: `python -m …`.
MODULES: Final[Mapping[str, Sequence[str]]] = {
    "migrate": ["shared.database.migrate"],
    "bootstrap": ["api.bootstrap"],
    "api": ["api.main"],
    "lanes": ["worker.main", "lanes"],
    "webhooks": ["worker.main", "webhooks"],
    "upkeep": ["worker.main", "upkeep"],
}
NAMES: Final = (*MODULES, "broker", "postgres")

LOOPBACK_RANGES: Final = "127.0.0.0/8,::1/128"
# Who listens everywhere is spoken to here.
ADDRESS_OF_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (asked for with --host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the person who starts it asked for.

    Attributes:
        port: Of the API; 0 for any that is free.
        database_url: A PostgreSQL to use instead of a private one.
        broker_url: A broker to use instead of a private one.
        as_json: Say that it serves in one line for programs.
    """

    data_dir: Path
    host: str
    port: int
    database_url: str | None = field(repr=False)
    broker_url: str | None = field(repr=False)
    allow_local_webhooks: bool
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """What will run, where.

    Attributes:
        url: Of the API, as seen from this machine.
        servers: Those that are ours to run. One that was named in the wishes is run by others.
        environment: Of our own parts.
    """

    url: str
    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    servers: Sequence[PrivateBroker | PrivatePostgres]
    environment: Mapping[str, str] = field(repr=False)

    def part(self, name: str, *options: str, silent: bool = False) -> Part:
        """Describe one of our own parts."""
        # -P: the folder that we were started in is nothing to import from.
        command = [sys.executable, "-P", "-m", *MODULES[name], *options]
        return Part(name=name, command=command, environment=self.environment, silent=silent)


def launch_plan(wishes: Wishes, *, directory: DataDirectory, environment: Mapping[str, str]) -> LaunchPlan:
    """Make the plan, and the secrets if it is the first.

    Raises:
        CannotStartError: A port is taken, a program missing, a secret lost.
    """
    port, broker_port, postgres_port = _ports(wishes)
    secrets = directory.secrets()
    servers: list[PrivateBroker | PrivatePostgres] = []
    database_url, broker_url = wishes.database_url, wishes.broker_url
    if broker_url is None:
        broker = PrivateBroker(
            binary=find_broker(environment=environment),
            directory=directory.broker,
            port=broker_port,
            password=secrets.broker_password,
        )
        servers.append(broker)
        broker_url = broker.url
    if database_url is None:
        postgres = PrivatePostgres(
            program=find_postgres(directory.path, environment=environment),
            directory=directory.postgres,
            port=postgres_port,
            password=secrets.postgres_password,
        )
        servers.append(postgres)
        database_url = postgres.url
    where = {
        "HISHAB_HOST": wishes.host,
        "HISHAB_PORT": str(port),
        "HISHAB_DATABASE_URL": database_url,
        "HISHAB_BROKER_URL": broker_url,
    }
    return LaunchPlan(
        url=_url(wishes.host, port=port),
        database_url=database_url,
        broker_url=broker_url,
        servers=servers,
        environment={**_defaults(secrets), **environment, **_webhooks(wishes, environment=environment), **where},
    )


def _defaults(secrets: Secrets) -> dict[str, str]:
    """Settings that the environment may overrule."""
    return {
        "HISHAB_LOG_FORMAT": "console",
        "HISHAB_TOKEN_KEYS": secrets.token_keys,
        "HISHAB_PIN_PEPPER": secrets.pin_pepper,
        "HISHAB_WEBHOOK_SECRET_KEYS": secrets.webhook_secret_keys,
        # Last words must not die in a buffer.
        "PYTHONUNBUFFERED": "1",
    }


def _webhooks(wishes: Wishes, *, environment: Mapping[str, str]) -> dict[str, str]:
    if not wishes.allow_local_webhooks:
        return {}
    ranges = [environment.get("HISHAB_WEBHOOK_ALLOWED_CIDRS", ""), LOOPBACK_RANGES]
    return {
        "HISHAB_WEBHOOK_ALLOWED_CIDRS": ",".join(filter(None, ranges)),
        "HISHAB_WEBHOOK_HTTPS_ONLY": "false",
    }


def _ports(wishes: Wishes) -> tuple[int, int, int]:
    try:
        api_port, broker_port, postgres_port = free_ports(wishes.host, LOOPBACK, LOOPBACK, but=wishes.port)
        taken = wishes.port != 0 and not is_free(wishes.port, host=wishes.host)
    except OSError as error:
        raise CannotStartError(f"Cannot listen on {wishes.host}, port {wishes.port}: {error.strerror}.") from error
    if taken:
        raise CannotStartError(
            f"Port {wishes.port} on {wishes.host} is taken. Choose another with --port, or 0 for any."
        )
    return wishes.port or api_port, broker_port, postgres_port


def _url(host: str, *, port: int) -> str:
    host = ADDRESS_OF_EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
