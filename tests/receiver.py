"""Receive webhooks in a thread of its own, over real HTTP, and answer as a test wants."""

import itertools
import socket
import struct
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request, its body as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> dict[str, Any]:
        """The body, once the reference library has found its signature good."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How to answer.

    Attributes:
        wait_for: Keeps the sender waiting.
        endless: Sends `body` over and over.
        resets: Breaks the connection off instead.
        drips: Sends `body` byte by byte, one each tenth of a second, and never ends.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    wait_for: Event | None = None
    endless: bool = False
    resets: bool = False
    drips: bool = False


@dataclass(kw_only=True)
class Receiver:
    """A running receiver. `answer` is asked once a request."""

    url: str
    port: int
    received: list[Received] = field(default_factory=list[Received])
    connections: int = 0
    answer: Callable[[Received], Reply] = lambda _: Reply()

    def ids(self) -> list[str]:
        """The webhook-id of every request, in order of arrival."""
        return [request.headers["webhook-id"] for request in self.received]


@contextmanager
def receiving(answer: Callable[[Received], Reply] = lambda _: Reply()) -> Generator[Receiver]:
    """Run a receiver on a free port of loopback until the block is left."""
    server = _Server(("127.0.0.1", 0), _Handler)
    receiver = Receiver(url=f"http://127.0.0.1:{server.server_port}/hooks", port=server.server_port, answer=answer)
    server.receiver = receiver
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    receiver: Receiver
    request_queue_size = 256
    # A handler that hangs must not keep a test from ending.
    daemon_threads = True
    block_on_close = False

    def get_request(self) -> tuple[Any, Any]:
        self.receiver.connections += 1
        return super().get_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: senders that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet, or each answer waits for a delayed acknowledgement.
    wbufsize = -1

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = Received(path=self.path, headers={k.lower(): v for k, v in self.headers.items()}, body=body)
        receiver.received.append(request)
        self._reply(receiver.answer(request))

    def _reply(self, reply: Reply) -> None:
        if reply.wait_for is not None:
            reply.wait_for.wait()
        if reply.resets:
            # Closing with something unsent and no lingering is a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if not reply.endless and not reply.drips:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.drips:
            self._drip(reply.body)
        self.wfile.write(reply.body)
        while reply.endless:
            self.wfile.write(reply.body)

    def _drip(self, body: bytes) -> None:
        pause = Event()
        for byte in itertools.cycle(body):
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            pause.wait(0.1)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the library's)
        """Say nothing."""
