"""Find out who is calling, whether they may do what they ask for, and whether they have not asked too often."""

import math
from collections.abc import Iterable
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Request, Security
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from sqlalchemy.exc import SQLAlchemyError

from api.known_callers import Caller
from api.parts import Parts
from shared import clock
from shared.domain.errors import NotAuthenticated, QuotaExceeded, ScopeMissing
from shared.domain.scope import DESCRIPTIONS

QUOTA_WINDOW_SECONDS: Final = 1

# Where the Authorize button of /docs logs in; it takes `email` as its username and the PIN as its password.
_BEARER: Final = OAuth2(
    flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="/v1/token", refreshUrl="/v1/token", scopes=DESCRIPTIONS)),
    description="A token from `POST /v1/token`, or an API key (`sk_…`).",
)


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
            QuotaExceeded: They have asked too often.
        """
        parts: Parts = request.app.state.parts
        now_seconds = clock.monotonic_seconds()
        caller = await _find(request, parts=parts, now_seconds=now_seconds)
        if not caller.is_operator:
            _count(caller.owner_id, request, parts=parts, now_seconds=now_seconds)
        if self._scope is not None and self._scope not in caller.scopes:
            raise ScopeMissing
        return caller


def needs(scope: str) -> Any:  # noqa: ANN401 (FastAPI's own type for it)
    """Make the dependency of an operation that needs a scope, which OpenAPI names too."""
    return Security(_Check(scope), scopes=[scope])


FromCaller = Annotated[Caller, Security(_Check(None))]
"""For what anybody with credentials may do."""


async def is_still_let_in(request: Request, *, parts: Parts) -> bool:
    """Say whether the credentials that let a request in still are good; whoever cannot be looked up is not let in."""
    try:
        await _find(request, parts=parts, now_seconds=clock.monotonic_seconds())
    except (NotAuthenticated, SQLAlchemyError, OSError):
        return False
    return True


async def _find(request: Request, *, parts: Parts, now_seconds: float) -> Caller:
    credentials = _credentials(request.scope["headers"])
    caller = parts.known_callers.find(credentials, now_seconds=now_seconds)
    return caller or await parts.known_callers.look_up(credentials, now_seconds=now_seconds)


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> str:
    # Not through Starlette's Headers, which would take longer than all the rest.
    for name, value in headers:
        if name == b"authorization":
            scheme, _, credentials = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and credentials:
                return credentials
    raise NotAuthenticated


def _count(owner_id: UUID, request: Request, *, parts: Parts, now_seconds: float) -> None:
    """Count a request, and have its answer say what is left (draft httpapi-ratelimit-headers)."""
    left, reset_seconds = parts.caller_quotas.take(owner_id, now_seconds=now_seconds)
    retry_seconds = math.ceil(reset_seconds)
    request.scope["state"]["answer_headers"] = (
        (b"ratelimit-policy", b'"caller";q=%d;w=%d' % (parts.settings.requests_per_second, QUOTA_WINDOW_SECONDS)),
        (b"ratelimit", b'"caller";r=%d;t=%d' % (max(left, 0), retry_seconds)),
    )
    if left < 0:
        raise QuotaExceeded(retry_seconds)
