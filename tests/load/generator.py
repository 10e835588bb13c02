"""Send requests from a process of its own, as fast as answers come or at given times, and note every answer.

Requests are rendered beforehand and answers are read afterwards, so that sending costs as little as it can: what this
generator reaches against a server that does nothing is printed beside what it measured.
"""

import asyncio
import gc
import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import uvloop

from shared.clock import monotonic_seconds

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
END_OF_HEAD = b"\r\n\r\n"
HTTP_PORT = 80
ANSWER_SECONDS_MAX = 60.0
CONNECTIONS_MAX = 512
"""Of an open loop, which opens another one when all are busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where requests go, and with which credentials."""

    url: str
    credentials: str | None = field(default=None, repr=False)

    def post(self, path: str, body: object, *, key: str | None = None, prefer: str | None = None) -> bytes:
        """Render a POST."""
        payload = json.dumps(body, separators=(",", ":")).encode()
        named = {"Idempotency-Key": key, "Prefer": prefer, "Content-Type": "application/json"}
        return self._head("POST", path, {**named, "Content-Length": str(len(payload))}) + payload

    def get(self, path: str, *, prefer: str | None = None) -> bytes:
        """Render a GET."""
        return self._head("GET", path, {"Prefer": prefer})

    def _head(self, method: str, path: str, headers: dict[str, str | None]) -> bytes:
        bearer = f"Bearer {self.credentials}" if self.credentials else None
        every = {"Host": urlsplit(self.url).netloc, "Authorization": bearer, **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items() if value)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to send.

    Attributes:
        connections: How many send at once. Each sends its next request when it has its answer (a closed loop).
        per_second: Send at this rate instead, whether answers come or not (an open loop).
        seconds_max: When to stop sending.
        endless: Begin again with the first request after the last.
        until_ended: A transfer that is answered as queued is asked for until it no longer is.
    """

    server: Server
    requests: Sequence[bytes] = field(repr=False)
    connections: int = 1
    per_second: float | None = None
    seconds_max: float = 3_600.0
    endless: bool = False
    until_ended: bool = False


class Answer(NamedTuple):
    """What came back. Times are of the machine's monotonic clock, which all its processes share.

    Attributes:
        place: Of the request in the job.
        intended_seconds: When the request was to be sent; in a closed loop, when it was.
    """

    place: int
    intended_seconds: float
    sent_seconds: float
    answered_seconds: float
    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.head[9:12])

    def json(self) -> Any:  # noqa: ANN401 (what the server said)
        """Read the body."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Read a header."""
        found = re.search(rf"(?im)^{name}: *(.*?)\r?$", self.head.decode("latin-1"))
        return found[1] if found else None


Generate = Callable[[Job], list[Answer]]


@contextmanager
def generating() -> Generator[Generate]:
    """Keep a process that sends what it is told to, until the block is left."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as executor:
        yield lambda job: executor.submit(generate, job).result()


def generate(job: Job) -> list[Answer]:
    """Do a job in this process."""
    # What is kept are answers, by the ten thousand, and none of them is garbage.
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_open_loop(job) if job.per_second else _closed_loop(job))


async def _closed_loop(job: Job) -> list[Answer]:
    answers: list[Answer] = []
    connections = [await _connect(job.server) for _ in range(job.connections)]
    places = iter(range(len(job.requests))) if not job.endless else _endlessly(len(job.requests))
    end_seconds = monotonic_seconds() + job.seconds_max
    asking = {_keep_asking(c, job=job, places=places, end_seconds=end_seconds, answers=answers) for c in connections}
    while asking:
        answered = len(answers)
        ended, asking = await asyncio.wait(asking, timeout=ANSWER_SECONDS_MAX, return_when=asyncio.FIRST_EXCEPTION)
        for one in ended:
            one.result()
        if asking and len(answers) == answered:
            message = f"no answer for {ANSWER_SECONDS_MAX:.0f} s"
            raise TimeoutError(message)
    for connection in connections:
        connection.close()
    return answers


def _keep_asking(
    connection: "_Connection", *, job: Job, places: Iterator[int], end_seconds: float, answers: list[Answer]
) -> asyncio.Future[None]:
    """Send a request whenever the one before is answered, until there is none left or the time is up.

    By callbacks alone: to wake a task for each answer would cost more than the rest, of the cores that are measured.
    """
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    place, sent_seconds = 0, 0.0

    def send() -> None:
        nonlocal place, sent_seconds
        sent_seconds = monotonic_seconds()
        due = next(places, None) if sent_seconds < end_seconds else None
        if due is None:
            ended.set_result(None)
        else:
            place = due
            connection.ask(job.requests[place], then=note, otherwise=ended.set_exception)

    def note(head: bytes, body: bytes) -> None:
        if job.until_ended and json.loads(body).get("status") == "queued":
            again = job.server.get(f"/v1/transfers/{json.loads(body)['id']}")
            connection.ask(again, then=note, otherwise=ended.set_exception)
        else:
            answers.append(Answer(place, sent_seconds, sent_seconds, monotonic_seconds(), head, body))
            send()

    send()
    return ended


async def _open_loop(job: Job) -> list[Answer]:
    assert job.per_second is not None
    answers: list[Answer] = []
    idle = [await _connect(job.server) for _ in range(job.connections)]
    room = asyncio.Semaphore(CONNECTIONS_MAX)

    async def send(place: int, intended_seconds: float) -> None:
        async with room:
            # A server hangs up on who has said nothing for a while.
            while idle and idle[-1].is_closed:
                idle.pop()
            connection = idle.pop() if idle else await _connect(job.server)
            sent_seconds = monotonic_seconds()
            head, body = await connection.answer(job.requests[place])
            answers.append(Answer(place, intended_seconds, sent_seconds, monotonic_seconds(), head, body))
            idle.append(connection)

    start_seconds = monotonic_seconds()
    async with asyncio.TaskGroup() as sending:
        for place in range(len(job.requests)):
            intended_seconds = start_seconds + place / job.per_second
            if intended_seconds - start_seconds >= job.seconds_max:
                break
            if (early_seconds := intended_seconds - monotonic_seconds()) > 0:
                await asyncio.sleep(early_seconds)
            sending.create_task(send(place, intended_seconds))
    for connection in idle:
        connection.close()
    return answers


def _endlessly(count: int) -> Generator[int]:
    while True:
        yield from range(count)


async def _connect(server: Server) -> "_Connection":
    where = urlsplit(server.url)
    assert where.hostname, f"{server.url} names no host"
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_Connection, where.hostname, where.port or HTTP_PORT)
    return connection


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._then: Callable[[bytes, bytes], None] | None = None
        self._otherwise: Callable[[Exception], None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are none by their class.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        otherwise, self._otherwise = self._otherwise, None
        if otherwise is not None:
            otherwise(exc or ConnectionError("the server hung up before it had answered"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(END_OF_HEAD)
        if not end:
            return
        length = LENGTH.search(head)
        assert length is not None, f"an answer without Content-Length: {head!r}"
        if len(body) >= int(length[1]):
            then, self._then = self._then, None
            assert then is not None, "an answer that nobody asked for"
            self._received, self._otherwise = b"", None
            then(head, body)

    @property
    def is_closed(self) -> bool:
        """Whether the server has hung up."""
        return self._transport is None or self._transport.is_closing()

    def ask(
        self, request: bytes, *, then: Callable[[bytes, bytes], None], otherwise: Callable[[Exception], None]
    ) -> None:
        """Send a request; one of the two is called when it is answered, or when it never will be."""
        assert self._transport is not None, "not connected"
        self._then, self._otherwise = then, otherwise
        self._transport.write(request)

    async def answer(self, request: bytes) -> tuple[bytes, bytes]:
        """Send a request, and wait for its head and body."""
        answered: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self.ask(request, then=lambda head, body: answered.set_result((head, body)), otherwise=answered.set_exception)
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            return await answered

    def close(self) -> None:
        assert self._transport is not None, "not connected"
        self._transport.close()
