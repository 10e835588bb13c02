"""Does the relay do to a connection what a fault asks of it, and nothing to others?"""

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field

import pytest

from shared.clock import monotonic_seconds
from tests.chaos.relay import AT_ONCE, Relay, Then, Trap, relaying
from tests.eventually import eventually

SILENCE_SECONDS = 0.3
ANSWER_SECONDS_MAX = 20.0
BREAK_OFF = b"break off"


@dataclass(slots=True)
class Echo:
    """A server that answers every piece with itself, and remembers what it heard. At one word it breaks off."""

    door: socket.socket
    heard: list[bytes] = field(default_factory=list[bytes])
    broken_off: threading.Event = field(default_factory=threading.Event)

    def welcome(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.door.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        try:
            while chunk := client.recv(65_536):
                self.heard.append(chunk)
                if chunk == BREAK_OFF:
                    break_off(client)
                    return
                client.sendall(chunk)
        except OSError:
            self.broken_off.set()
        finally:
            client.close()


@pytest.fixture
def echo() -> Generator[Echo]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        echo = Echo(door)
        threading.Thread(target=echo.welcome, daemon=True).start()
        yield echo
        door.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(echo: Echo) -> Generator[Relay]:
    with relaying(to_port=echo.door.getsockname()[1]) as relay:
        yield relay


@pytest.fixture
def connect(relay: Relay) -> Generator[Callable[[], socket.socket]]:
    made: list[socket.socket] = []

    def make() -> socket.socket:
        made.append(socket.create_connection(("127.0.0.1", relay.port), timeout=ANSWER_SECONDS_MAX))
        return made[-1]

    yield make
    for client in made:
        client.close()


def told(client: socket.socket, word: bytes) -> bytes:
    """Say a word, and give all that is answered to it."""
    client.sendall(word)
    answer = b""
    while len(answer) < len(word) and (chunk := client.recv(65_536)):
        answer += chunk
    return answer


def break_off(end: socket.socket) -> None:
    """Close one end as the kernel does for a process that is killed with something unread."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    end.close()


Connect = Callable[[], socket.socket]


class TestRelay:
    def test_passes_on_whatever_it_is(self, connect: Connect) -> None:
        word = bytes(range(256)) * 4_000
        assert told(connect(), word) == word

    def test_tells_the_server_when_a_client_hangs_up(self, echo: Echo, connect: Connect) -> None:
        with closing(connect()) as client:
            assert told(client, b"one") == b"one"
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""

    def test_tells_the_client_when_the_server_breaks_off(self, connect: Connect) -> None:
        client = connect()
        told(client, b"one")
        with pytest.raises(ConnectionResetError):
            told(client, BREAK_OFF)

    def test_tells_the_server_when_a_client_breaks_off(self, echo: Echo, connect: Connect) -> None:
        client = connect()
        told(client, b"one")
        break_off(client)
        assert echo.broken_off.wait(ANSWER_SECONDS_MAX)

    def test_lets_each_piece_wait(self, relay: Relay, connect: Connect) -> None:
        client = connect()
        relay.delay_seconds = SILENCE_SECONDS
        began_seconds = monotonic_seconds()
        assert told(client, b"late") == b"late"
        assert monotonic_seconds() - began_seconds >= 2 * SILENCE_SECONDS
        assert relay.hindered == 2

    def test_lets_little_pass_in_a_second(self, relay: Relay, connect: Connect) -> None:
        client = connect()
        relay.bytes_per_second = 1_000
        began_seconds = monotonic_seconds()
        assert told(client, bytes(500)) == bytes(500)
        assert monotonic_seconds() - began_seconds >= 0.5

    def test_swallows_what_old_connections_say_and_passes_on_new_ones(
        self, relay: Relay, echo: Echo, connect: Connect
    ) -> None:
        old = connect()
        assert told(old, b"before") == b"before"
        assert relay.swallow() == 1
        old.sendall(b"nobody hears this")
        assert told(connect(), b"after") == b"after"
        old.settimeout(SILENCE_SECONDS)
        with pytest.raises(TimeoutError):
            old.recv(1)
        assert echo.heard == [b"before", b"after"]

    def test_cuts_what_was_swallowed_once_it_is_mended(self, relay: Relay, connect: Connect) -> None:
        old = connect()
        told(old, b"before")
        relay.swallow()
        relay.mend()
        with pytest.raises(ConnectionResetError):
            old.recv(1)

    def test_resets_every_connection(self, relay: Relay, connect: Connect) -> None:
        clients = [connect(), connect()]
        for client in clients:
            told(client, b"here")
        assert relay.reset() == len(clients)
        for client in clients:
            with pytest.raises(ConnectionResetError):
                client.recv(1)


class TestTrap:
    def test_cuts_before_the_server_hears_the_word(self, relay: Relay, echo: Echo, connect: Connect) -> None:
        relay.trap = Trap(word=b"COMMIT", then=Then.CUT_BEFORE)
        client = connect()
        told(client, b"BEGIN")
        with pytest.raises(ConnectionResetError):
            told(client, b"COMMIT")
        assert echo.heard == [b"BEGIN"]
        assert relay.trapped == 1

    def test_cuts_after_the_server_has_answered(self, relay: Relay, echo: Echo, connect: Connect) -> None:
        relay.trap = Trap(word=b"COMMIT", then=Then.CUT_AFTER)
        client = connect()
        told(client, b"BEGIN")
        with pytest.raises(ConnectionResetError):
            told(client, b"COMMIT")
        assert relay.caught.is_set()
        assert echo.heard == [b"BEGIN", b"COMMIT"]

    def test_holds_answers_back_until_it_is_taken_away(self, relay: Relay, echo: Echo, connect: Connect) -> None:
        relay.trap = Trap(word=b"POST", then=Then.HOLD)
        client = connect()
        client.sendall(b"POST")
        eventually(relay.caught.is_set)
        assert echo.heard == [b"POST"]
        relay.mend()
        assert told(connect(), b"POST") == b"POST"

    def test_takes_as_many_as_it_is_told_and_of_those_who_begin_so(self, relay: Relay, connect: Connect) -> None:
        relay.trap = Trap(word=b"COMMIT", then=Then.CUT_BEFORE, among=b"hishab-lanes", left=1)
        intake, lanes, later = connect(), connect(), connect()
        told(intake, b"hishab-intake")
        for client in (lanes, later):
            told(client, b"hishab-lanes")
        assert told(intake, b"COMMIT") == b"COMMIT"
        with pytest.raises(ConnectionResetError):
            told(lanes, b"COMMIT")
        assert told(later, b"COMMIT") == b"COMMIT"
