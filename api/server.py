"""Serve HTTP so that a stop keeps nobody waiting, and so that many can wait."""

import resource
import socket
from collections.abc import Callable
from typing import Final

import uvicorn

FILES_MAX: Final = 16_384
"""Above `watched_max` as it comes; the usual default of 1,024 is not."""


class Server(uvicorn.Server):
    """Says so when it begins to stop; what answers are held back for has to end then, or uvicorn waits for it."""

    def __init__(self, config: uvicorn.Config, *, on_stop: Callable[[], None]) -> None:
        """Serve nothing yet; `run` does."""
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._on_stop()
        await super().shutdown(sockets)


def raise_file_limit() -> None:
    """Allow as many open files as we may need, or as the system lets us have: every caller who waits is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
