"""Stand in for a Hishab whose answers a test decides, over real HTTP on a real socket."""

import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer. Status 0 cuts the connection instead, after the request has been read.

    Attributes:
        cut_short: Promises more than `body`, and cuts the connection after it.
    """

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut_short: bool = False


Script = Callable[[Seen], Reply]


@contextmanager
def serving(script: Script) -> Generator[str]:
    """Serve what the script says; yields the URL. The script is called from several threads."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            reply = script(Seen(method=self.command, path=self.path, headers=dict(self.headers), body=body))
            if not reply.status:
                self.close_connection = True
                return
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status not in {204, 304}:
                self.send_header("Content-Length", str(len(content) + reply.cut_short))
            self.end_headers()
            if reply.status not in {204, 304}:
                self.wfile.write(content)
            if reply.cut_short:
                self.close_connection = True

        do_GET = do_POST = answer  # noqa: N815 (http.server looks for these names)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 (its name there)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
