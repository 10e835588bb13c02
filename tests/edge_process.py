"""Run the edge as a process of its own, on a ledger that a test drains itself, and hold connections open to it."""

import asyncio
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import httpx2
from cryptography.fernet import Fernet

from hishab.ports import LOOPBACK, free_ports
from hishab.process import Part
from shared.database.key_registration import register_key
from shared.domain.api_key import KEY_PREFIX, hash_key
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.scope import OPERATOR
from shared.identifiers import new_id
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.running_system import running, tail

KEY = f"{KEY_PREFIX}edge"
STOP_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An edge that serves, and a connection to it as an operator."""

    url: str
    pid: int
    http: httpx2.Client = field(repr=False)


@contextmanager
def edge_process(
    ledger: Ledger,
    place: Path,
    *,
    settings: Mapping[str, str] | None = None,
    program: str = "api.main",
    exit_code: int = 0,
) -> Generator[Edge]:
    """Serve a ledger until the block is left; no broker and no worker run beside it.

    Args:
        settings: By name, without `HISHAB_`.
        program: What serves; another may die of its own accord, with another exit code.
    """
    register_key(
        ledger.connection, key_id=new_id(), owner_id=OPERATORS_OWNER_ID, key_hash=hash_key(KEY), scopes=[OPERATOR]
    )
    port, log = free_ports(LOOPBACK)[0], place / "api.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HISHAB_")},
        "HISHAB_PORT": str(port),
        "HISHAB_DATABASE_URL": ledger.database_url,
        "HISHAB_BROKER_URL": "redis://127.0.0.1:1/0",
        "HISHAB_TOKEN_KEYS": f"a:{'00' * 32}",
        "HISHAB_PIN_PEPPER": "00" * 32,
        "HISHAB_WEBHOOK_SECRET_KEYS": Fernet.generate_key().decode(),
        "HISHAB_ALLOW_FSYNC_OFF": "true",
        **{f"HISHAB_{name}": value for name, value in (settings or {}).items()},
    }
    command = [sys.executable, "-m", program]
    part = Part(name="api", command=command, environment=environment, stop_seconds_max=STOP_SECONDS_MAX)
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as http,
        running(part, out=log, log=log) as process,
    ):
        eventually(lambda: _serves(http), seconds_max=60, otherwise=lambda: tail(log))
        yield Edge(url=url, pid=process.pid, http=http)
    assert process.returncode == exit_code, tail(log)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came over one connection, and when it ended."""

    text: str
    at_seconds: float

    @property
    def status(self) -> int:
        return int(self.text.split(" ", 2)[1])


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def ask(edge: Edge, path: str, headers: Mapping[str, str]) -> Line:
    """Send a request over a connection of its own."""
    address = urlsplit(edge.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = {"Host": "localhost", "Authorization": f"Bearer {KEY}", "Connection": "close", **headers}
    request = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{request}\r\n".encode())
    await writer.drain()
    return reader, writer


async def answered(line: Line) -> Answered:
    """Wait for all of the answer."""
    reader, writer = line
    text = (await reader.read()).decode()
    at_seconds = monotonic()
    writer.close()
    await writer.wait_closed()
    return Answered(text=text, at_seconds=at_seconds)


async def waiting(edge: Edge, *asked: tuple[str, Mapping[str, str]]) -> list[asyncio.Task[Answered]]:
    """Send requests that will be kept waiting, and return once all of them are: one sent after them is answered."""
    lines = await asyncio.gather(*(ask(edge, path, headers) for path, headers in asked))
    tasks = [asyncio.create_task(answered(line)) for line in lines]
    await answered(await ask(edge, asked[0][0], {}))
    return tasks


def connections(ledger: Ledger, application_name: str) -> int:
    """Count the connections to the ledger's database under a name."""
    return ledger.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s",
        application_name,
    )


def _serves(http: httpx2.Client) -> bool:
    try:
        return http.get("/livez").status_code == 200
    except httpx2.TransportError:
        return False
