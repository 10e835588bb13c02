"""Find out who is calling, and whether their token or API key may do what it asks for."""

from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Request, Security
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase

from api.parts import Parts
from shared import clock
from shared.database.api_keys import read_key
from shared.domain.api_key import KEY_PREFIX, hash_key
from shared.domain.errors import NotAuthenticated, ScopeMissing
from shared.domain.scope import DESCRIPTIONS, OF_PERSONS, OPERATOR, implied

# Where the Authorize button of /docs logs in; it takes `email` as its username and the PIN as its password.
_BEARER: Final = OAuth2(
    flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="/v1/token", refreshUrl="/v1/token", scopes=DESCRIPTIONS)),
    description="A token from `POST /v1/token`, or an API key (`sk_…`).",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, and what they may do."""

    owner_id: UUID
    scopes: frozenset[str]

    @property
    def is_operator(self) -> bool:
        """Say whether this is one of those who run the system."""
        return OPERATOR in self.scopes


class _Check(SecurityBase):
    """One dependency for all there is to check, since every one that FastAPI resolves costs each request something."""

    def __init__(self, scope: str | None) -> None:
        self.model = _BEARER
        self.scheme_name = "TokenOrKey"
        self._scope = scope

    async def __call__(self, request: Request) -> Caller:
        """Say who is calling.

        Raises:
            NotAuthenticated: There are no credentials, or they are not good.
            ScopeMissing: They are good, but not for this.
        """
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not credentials:
            raise NotAuthenticated
        caller = await _caller_with(credentials, request.app.state.parts)
        if self._scope is not None and self._scope not in caller.scopes:
            raise ScopeMissing
        return caller


def needs(scope: str) -> Any:  # noqa: ANN401 (FastAPI's own type for it)
    """Make the dependency of an operation that needs a scope, which OpenAPI names too."""
    return Security(_Check(scope), scopes=[scope])


FromCaller = Annotated[Caller, Security(_Check(None))]
"""For what anybody with credentials may do."""


async def _caller_with(credentials: str, parts: Parts) -> Caller:
    if not credentials.startswith(KEY_PREFIX):
        return Caller(owner_id=parts.tokens.verify(credentials), scopes=OF_PERSONS)
    key_hash = hash_key(credentials)
    now_seconds = clock.monotonic_seconds()
    if (key := parts.known_keys.find(key_hash, now_seconds=now_seconds)) is None:
        async with parts.engine.connect() as tx:
            key = await read_key(tx, key_hash=key_hash)
        if key is None:
            raise NotAuthenticated
        parts.known_keys.keep(key_hash, key, now_seconds=now_seconds)
    return Caller(owner_id=key.owner_id, scopes=implied(key.scopes))
