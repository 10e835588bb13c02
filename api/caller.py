"""Find out who is calling: a person's token, or an API key."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer

from api.parts import FromParts
from shared import clock
from shared.database.api_keys import read_key
from shared.domain.api_key import KEY_PREFIX, OPERATOR, hash_key
from shared.domain.errors import NotAuthenticated, ScopeMissing

# Where the Authorize button of /docs logs in; it takes `email` as its username and the PIN as its password.
_BEARER: Final = OAuth2PasswordBearer(
    tokenUrl="/v1/token", auto_error=False, description="A token from `POST /v1/token`, or an API key (`sk_…`)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, and what beyond their own affairs they may do."""

    owner_id: UUID
    scopes: frozenset[str]

    @property
    def is_operator(self) -> bool:
        """Say whether this is one of those who run the system."""
        return OPERATOR in self.scopes


async def caller_of(credentials: Annotated[str | None, Depends(_BEARER)], parts: FromParts) -> Caller:
    """Say who is calling.

    Raises:
        NotAuthenticated: There are no credentials, or they are not good.
    """
    if not credentials:
        raise NotAuthenticated
    if not credentials.startswith(KEY_PREFIX):
        return Caller(owner_id=parts.tokens.verify(credentials), scopes=frozenset())
    key_hash = hash_key(credentials)
    now_seconds = clock.monotonic_seconds()
    if (key := parts.known_keys.find(key_hash, now_seconds=now_seconds)) is None:
        async with parts.engine.connect() as tx:
            key = await read_key(tx, key_hash=key_hash)
        if key is None:
            raise NotAuthenticated
        parts.known_keys.keep(key_hash, key, now_seconds=now_seconds)
    return Caller(owner_id=key.owner_id, scopes=frozenset(key.scopes))


FromCaller = Annotated[Caller, Depends(caller_of)]


def _needs(scope: str) -> Callable[[Caller], Coroutine[Any, Any, Caller]]:
    async def check(caller: FromCaller) -> Caller:
        if scope not in caller.scopes:
            raise ScopeMissing
        return caller

    return check


FromOperator = Annotated[Caller, Depends(_needs(OPERATOR))]
