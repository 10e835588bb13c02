"""Answer HEAD wherever there is a GET (RFC 9110, section 9.3.2): the same, without the body."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Head:
    """Plain ASGI. The server, which knows that it was a HEAD, leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD on as a GET."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
