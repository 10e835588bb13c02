"""Remember for a moment who has which credentials: a token that comes a thousand times a second is verified once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.domain.scope import OPERATOR

REMEMBERED_SECONDS: Final = 5.0
"""Revoking a token or a key acts within this time."""

REMEMBERED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, and what they may do."""

    owner_id: UUID
    scopes: frozenset[str]

    @property
    def is_operator(self) -> bool:
        """Say whether this is one of those who run the system."""
        return OPERATOR in self.scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited:
    """Whose credentials they are, and for how many seconds more they are good."""

    caller: Caller
    good_seconds: float


LookUp = Callable[[str], Awaitable[Credited]]


class KnownCallers:
    """Those whose credentials were found good a moment ago. What was not found good is looked up anew."""

    def __init__(self, look_up: LookUp) -> None:
        """Take what looks credentials up, and raises if they are not good."""
        self._look_up = look_up
        self._known: dict[str, tuple[float, Caller]] = {}
        self._looking: dict[str, tuple[float, asyncio.Future[Credited]]] = {}

    def find(self, credentials: str, *, now_seconds: float) -> Caller | None:
        """Say whose credentials these are, if that was found out less than five seconds ago and they still are good."""
        good_until_seconds, caller = self._known.get(credentials, (0.0, None))
        return caller if now_seconds < good_until_seconds else None

    async def look_up(self, credentials: str, *, now_seconds: float) -> Caller:
        """Find out whose credentials these are, once for all who ask at the same time, and remember it.

        Raises:
            NotAuthenticated: They are not good.
        """
        if credentials not in self._looking:
            looking = asyncio.ensure_future(self._look_up(credentials))
            looking.add_done_callback(lambda _: self._looking.pop(credentials))
            self._looking[credentials] = (now_seconds, looking)
        began_seconds, looking = self._looking[credentials]
        # Shielded: somebody who goes away must not take the answer from the others.
        credited = await asyncio.shield(looking)
        self._keep(credentials, credited, began_seconds=began_seconds)
        return credited.caller

    def _keep(self, credentials: str, credited: Credited, *, began_seconds: float) -> None:
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        # From before the look, whoever joined it when: what was revoked during it is forgotten in time too.
        good_until_seconds = began_seconds + min(REMEMBERED_SECONDS, credited.good_seconds)
        self._known[credentials] = (good_until_seconds, credited.caller)
