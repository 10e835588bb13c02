"""Receive webhooks on this machine for as long as somebody watches: verify each, and hand it on if asked to."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

from hishab.answers import Event
from hishab.errors import UntrustedWebhookError
from hishab.webhooks import verify_webhook

BODY_BYTES_MAX = 64 * 1024
"""An event has 20 kB at most."""

FORWARD_SECONDS_MAX = 14.0
"""Hishab waits 15 s."""

STOP_LOOK_SECONDS = 0.05
"""How soon it notices that it is to stop."""

HANDED_ON = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "user-agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request: the path it came to, the event or why it is not to be believed, and what it was answered."""

    path: str
    event: Event | None
    trouble: str
    status: int


class Listener:
    """A server on loopback. It answers at those paths alone whose secret it knows."""

    def __init__(self, *, port: int, forward_to: str | None, tell: Callable[[Heard], None]) -> None:
        """Take the port (0 for any that is free) and bind it.

        Args:
            forward_to: Where to hand each on to, with its headers; the answer is what Hishab is told.
            tell: Called with each request, in a thread of its own.

        Raises:
            OSError: The port is taken.
        """
        self._secrets: dict[str, str] = {}
        self._forward_to = forward_to
        self._tell = tell
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.listener = self

    @property
    def port(self) -> int:
        """Return where it listens."""
        return self._server.server_port

    def answer_at(self, path: str, *, secret: str) -> None:
        """Believe, from now on, what comes to a path and is signed with this secret."""
        self._secrets[path] = secret

    def answers_at(self, path: str) -> bool:
        """Tell whether the secret of a path is known; what else comes is none of ours."""
        return path in self._secrets

    @contextmanager
    def serving(self) -> Generator[None]:
        """Answer, in threads, until the block is left."""
        thread = threading.Thread(target=self._server.serve_forever, args=[STOP_LOOK_SECONDS], name="listener")
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def hear(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """Verify a request, hand it on, tell of it; return the status to answer."""
        try:
            event = verify_webhook(body, headers=headers, secrets=self._secrets[path])
        except UntrustedWebhookError as error:
            self._tell(Heard(path=path, event=None, trouble=error.detail, status=400))
            return 400
        status, trouble = self._forward(body, headers)
        self._tell(Heard(path=path, event=event, trouble=trouble, status=status))
        return status

    def _forward(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        if self._forward_to is None:
            return 204, ""
        handed_on = {name: headers[name] for name in HANDED_ON if name in headers}
        try:
            answer = httpx2.post(
                self._forward_to, content=body, headers=handed_on, timeout=FORWARD_SECONDS_MAX, trust_env=False
            )
        except httpx2.HTTPError as error:
            return 502, f"{self._forward_to} does not answer: {str(error) or type(error).__name__}"
        return answer.status_code, ""


class _Server(ThreadingHTTPServer):
    listener: Listener
    daemon_threads = True
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = FORWARD_SECONDS_MAX

    def do_POST(self) -> None:
        """Answer a delivery."""
        assert isinstance(self.server, _Server)
        listener = self.server.listener
        length = self.headers.get("Content-Length", "")
        if not listener.answers_at(self.path):
            self._answer(404)
        elif not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            self._answer(413)
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(listener.hear(self.path, self.rfile.read(int(length)), headers))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the library's)
        """Say nothing: what came is told in words of our own."""
