"""Serve as `api.main` does, and die with the first answer to a POST unsent: `python -m tests.crashing.losing_edge`.

What would have been sent stands in the file that LOST_ANSWER names.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.main import make_app, make_edge, wait_for_database
from api.unreadable import HttpProtocol
from shared.settings import ApiSettings, read_settings
from shared.telemetry import configure_logging


class Losing:
    """Plain ASGI, around all else."""

    def __init__(self, app: ASGIApp, *, path: Path) -> None:
        """Wrap an edge."""
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, unless it is the last."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        answer: dict[str, Any] = {"body": ""}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["headers"] = {name.decode(): value.decode() for name, value in message["headers"]}
                return
            answer["body"] += message.get("body", b"").decode()
            if not message.get("more_body"):
                self._die(answer)

        await self._app(scope, receive, keep)

    def _die(self, answer: dict[str, Any]) -> None:
        with self._path.open("w", encoding="utf-8") as file:
            json.dump(answer, file)
            file.flush()
            os.fsync(file.fileno())
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve until killed, or told to stop."""
    settings = read_settings(ApiSettings)
    configure_logging(settings.log_format)
    app = make_edge(make_app(settings, lane_count=wait_for_database(settings)))
    losing = Losing(app, path=Path(os.environ["LOST_ANSWER"]))
    uvicorn.run(
        losing,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=HttpProtocol,
    )


if __name__ == "__main__":
    main()
