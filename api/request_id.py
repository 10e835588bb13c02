"""Give every request an id, the caller's or one of ours: on the answer, in problems and in every log line."""

import re
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.security_headers import security_headers
from shared.identifiers import new_id

_HEADER: Final = b"x-request-id"
_ACCEPTED: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestIds:
    """Plain ASGI: nothing is buffered, and no body is copied."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = dict(scope["headers"]).get(_HEADER, b"")
        request_id = asked.decode() if _ACCEPTED.fullmatch(asked) else str(new_id())
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[tuple[bytes, bytes]] = list(message["headers"])
                message["headers"] = [
                    *headers,
                    (_HEADER, request_id.encode()),
                    *security_headers(headers, path=scope["path"]),
                    # What a dependency has to say on every answer, whoever makes it.
                    *state.get("answer_headers", ()),
                ]
            await send(message)

        await self._app(scope, receive, send_with_id)
