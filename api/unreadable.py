"""Refuse what is not HTTP, or is no HTTP that we read, by a problem too: the server does that before any route."""

from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api import problems
from api.security_headers import security_headers
from shared.domain import wire
from shared.identifiers import new_id

DETAIL: Final = "This is not a request that can be read: its first line, a header or its length is not as HTTP has it."


class HttpProtocol(HttpToolsProtocol):
    """The server's own, but for how it says that it cannot read something."""

    def send_400_response(self, msg: str) -> None:
        """Answer, and hang up."""
        del msg  # says nothing that the status does not
        status, request_id = HTTPStatus.BAD_REQUEST, str(new_id())
        code = problems.CODE_BY_STATUS[status]
        problem = problems.body(status=status, code=code, detail=DETAIL, instance="", request_id=request_id)
        content = wire.to_json(problem)
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", request_id.encode()),
        ]
        headers.extend(security_headers(headers, path=""))
        lines = [f"HTTP/1.1 {status} {status.phrase}".encode(), *(b"%s: %s" % header for header in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", content]))
        self.transport.close()
