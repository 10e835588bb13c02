"""Refuse bodies that are too large, declared or not, before they fill the memory."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Plain ASGI. Stands inside what gives requests their ids, so that its refusal is a problem like any other."""

    def __init__(self, app: ASGIApp, *, bytes_max: int, larger: Mapping[str, int]) -> None:
        """Wrap an application.

        Args:
            larger: The limits, in bytes, of the paths that have one of their own.
        """
        self._app = app
        self._bytes_max = bytes_max
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; whoever reads too much of its body gets a 413 raised."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bytes_max = self._larger.get(scope["path"], self._bytes_max)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        is_too_large = not declared.isdigit() or int(declared[:20]) > bytes_max
        received_bytes = 0

        async def receive_within_limit() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if is_too_large or received_bytes > bytes_max:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_within_limit, send)


async def body_bytes(request: Request) -> int:
    """Measure the body, which stays in memory until the request is answered."""
    return len(await request.body())


BodyBytes = Annotated[int, Depends(body_bytes)]
