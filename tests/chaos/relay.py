"""Stand between clients and a server: pass bytes on, late, slowly, not at all, or only until a word comes by."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536
INTRODUCTION_BYTES = 1_000
PIECES_PER_SECOND = 10
LOOPBACK = "127.0.0.1"

# Closing then tells the other side at once, with an RST. Source: socket(7), SO_LINGER.
AT_ONCE = pack("ii", 1, 0)


class Then(Enum):
    """What becomes of a connection on which a word is said to the server."""

    CUT_BEFORE = "it is cut before the server hears the word"
    CUT_AFTER = "it is cut once the server has answered, before the client hears that"
    HOLD = "it stays, and the client hears nothing on it any more"


@dataclass(slots=True, kw_only=True)
class Trap:
    """Waits for a word.

    Attributes:
        among: What a connection has to begin with, somewhere in its first bytes: the name of an application.
        left: How many connections it still takes.
    """

    word: bytes
    then: Then
    among: bytes = b""
    left: int = 1


@dataclass(slots=True, kw_only=True, eq=False)
class _Line:
    """One connection, by both its ends."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    introduction: bytes = b""
    trapped: Then | None = None
    is_dead: bool = False

    def reset(self) -> None:
        for end in (self.client, self.server):
            # One that has hung up already has no socket any more.
            with suppress(OSError):
                end.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, AT_ONCE)
            end.transport.abort()

    def die(self) -> None:
        self.is_dead = True

    @contextmanager
    def breaking_both_ways(self) -> Generator[None]:
        """Tell one end when the other has broken off, as the kernel would if nobody stood between."""
        try:
            yield
        except OSError:
            if not self.is_dead:
                self.reset()


@dataclass(slots=True, kw_only=True)
class Relay:
    """Passes everything on, unless it is told otherwise; from any thread, at any time.

    Attributes:
        delay_seconds: How long each piece waits, in both directions.
        bytes_per_second: What may pass on one connection in one direction.
        trap: What it waits for.
        hindered: Pieces that came late or slowly.
        trapped: Connections that the word was said on.
        caught: Is set when one of these had its answer.
    """

    to_port: int
    port: int = 0
    delay_seconds: float = 0.0
    bytes_per_second: int | None = None
    trap: Trap | None = None
    hindered: int = 0
    trapped: int = 0
    caught: threading.Event = field(default_factory=threading.Event)
    _lines: "set[_Line]" = field(default_factory=set["_Line"])
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def swallow(self) -> int:
        """Let nobody on any connection of now hear anything any more, nor be told so; new ones are passed on.

        As when a firewall has forgotten them. Give how many that were.
        """
        return self._each(_Line.die)

    def reset(self) -> int:
        """Cut every connection there is; give how many that were."""
        return self._each(_Line.reset)

    def mend(self) -> None:
        """Pass everything on again. Connections on which something was swallowed are cut."""
        self.delay_seconds, self.bytes_per_second, self.trap = 0.0, None, None
        self._each(_Line.reset, which=lambda line: line.is_dead)

    def _each(self, act: Callable[[_Line], None], *, which: Callable[[_Line], bool] = lambda _: True) -> int:
        async def do() -> int:
            chosen = [line for line in self._lines if which(line)]
            for line in chosen:
                act(line)
            return len(chosen)

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result()

    async def welcome(self, questions: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Connect a client on, and stay until both have hung up."""
        try:
            answers, server = await asyncio.open_connection(LOOPBACK, self.to_port)
        except OSError:
            client.transport.abort()
            return
        line = _Line(client=client, server=server)
        self._lines.add(line)
        try:
            await asyncio.gather(self._ask(questions, line), self._answer(answers, line))
        finally:
            self._lines.discard(line)
            client.close()
            server.close()

    async def _ask(self, questions: asyncio.StreamReader, line: _Line) -> None:
        with line.breaking_both_ways():
            while chunk := await questions.read(CHUNK_BYTES):
                line.introduction += chunk[: INTRODUCTION_BYTES - len(line.introduction)]
                if self._is_trapped(chunk, line=line) is Then.CUT_BEFORE:
                    line.reset()
                    return
                await self._pass_on(chunk, line.server, line=line)
            if not line.is_dead:
                line.server.write_eof()

    async def _answer(self, answers: asyncio.StreamReader, line: _Line) -> None:
        with line.breaking_both_ways():
            while chunk := await answers.read(CHUNK_BYTES):
                if line.trapped is not None:
                    self.caught.set()
                if line.trapped is Then.CUT_AFTER:
                    line.reset()
                    return
                if line.trapped is not Then.HOLD:
                    await self._pass_on(chunk, line.client, line=line)
            if not line.is_dead:
                line.client.close()

    def _is_trapped(self, chunk: bytes, *, line: _Line) -> Then | None:
        trap = self.trap
        if trap is None or trap.left <= 0 or trap.word not in chunk or trap.among not in line.introduction:
            return None
        trap.left -= 1
        self.trapped += 1
        line.trapped = trap.then
        return trap.then

    async def _pass_on(self, chunk: bytes, end: asyncio.StreamWriter, *, line: _Line) -> None:
        if self.delay_seconds or self.bytes_per_second:
            self.hindered += 1
        await asyncio.sleep(self.delay_seconds)
        while chunk and not line.is_dead:
            # Asked for anew for each piece: whoever mends it does not wait for what is under way.
            rate = self.bytes_per_second
            size = len(chunk) if rate is None else max(1, rate // PIECES_PER_SECOND)
            if rate is not None:
                await asyncio.sleep(1 / PIECES_PER_SECOND)
            end.write(chunk[:size])
            chunk = chunk[size:]
            await end.drain()


@contextmanager
def relaying(*, to_port: int) -> Generator[Relay]:
    """Run a relay before a port of this machine, in a thread of its own, until the block is left."""
    loop = asyncio.new_event_loop()
    relay = Relay(to_port=to_port, _loop=loop)
    thread = threading.Thread(target=loop.run_forever, name="relay", daemon=True)
    thread.start()

    async def open_door() -> asyncio.Server:
        return await asyncio.start_server(relay.welcome, LOOPBACK, 0)

    async def close(door: asyncio.Server) -> None:
        door.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    door = asyncio.run_coroutine_threadsafe(open_door(), loop).result()
    relay.port = door.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.reset()
        asyncio.run_coroutine_threadsafe(close(door), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def holding_back(url: str, *, requests: bytes) -> Generator[tuple[Relay, str]]:
    """Run a relay before a web server that keeps answers to such requests to itself; give it, and its URL."""
    port = urlsplit(url).port
    assert port is not None, url
    with relaying(to_port=port) as relay:
        relay.trap = Trap(word=requests, then=Then.HOLD)
        yield relay, f"http://{LOOPBACK}:{relay.port}"
