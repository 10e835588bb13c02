"""Let a caller in: with an API key, or with a log-in whose tokens are renewed while they are in use."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from hishab.answers import Tokens

Ask = Callable[[Mapping[str, str]], Awaitable[Tokens]]
"""Asks for tokens with the fields of a form."""


class Credentials:
    """What lets a caller in, or nothing.

    Args:
        bearer: What is shown with each request.
        way_in: The form that brings something else to show, if there is any.
    """

    def __init__(self, *, bearer: str = "", way_in: Mapping[str, str] | None = None) -> None:
        self._bearer = bearer
        self._way_in = way_in
        # One at a time: two that renew with the same refresh token look like a thief to the server.
        self._renewing = asyncio.Lock()

    @classmethod
    def log_in(cls, *, email: str, pin: str) -> Self:
        """Take email and PIN: shown once and then forgotten, as the tokens that they bring renew one another."""
        return cls(way_in={"grant_type": "password", "username": email, "password": pin})

    async def bearer(self, ask: Ask, *, refused: str | None = None) -> str:
        """Return what to show: another than `refused`, if another can be had.

        Raises:
            HishabError: Asking for it came to nothing.
        """
        async with self._renewing:
            if self._way_in and self._bearer in {"", refused}:
                tokens = await ask(self._way_in)
                self._bearer = tokens.access_token
                renewal = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token or ""}
                self._way_in = renewal if tokens.refresh_token else None
            return self._bearer
