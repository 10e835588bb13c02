"""Log in, refresh and log out, as OAuth 2 has it (RFC 6749, RFC 7009): forms in, JSON out, no answer to be kept."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse

from api import problems
from api.operations import operation_id
from api.parts import FromParts
from api.sign_ins import admit
from api.tokens.schemas import RevocationForm, TokenForm, show_pair
from api.tokens.sessions import log_in, log_out, refresh
from shared.domain.errors import ServiceUnavailable, TooBusy, TooManyAttempts

router = APIRouter(tags=["tokens"], generate_unique_id_function=operation_id)

# RFC 6749, section 5.1.
NOT_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}

WRONG_PIN: Final = {"error": "invalid_grant", "error_description": "The email or the PIN is wrong."}
DEAD_TOKEN: Final = {"error": "invalid_grant", "error_description": "This refresh token is not good. Log in."}


@router.post(
    "/v1/token",
    summary="Log in, or refresh",
    responses=problems.documented(TooManyAttempts, TooBusy, ServiceUnavailable),
)
async def post_token(form: Annotated[TokenForm, Form()], request: Request, parts: FromParts) -> JSONResponse:
    """Log in: `username` is the email, `password` the PIN. Works with the Authorize button.

    After fifteen minutes, go on with `grant_type=refresh_token`. Each refresh token is good once, and the answer brings
    the next one. Without an answer, send the same one again within 30 seconds; after that a token that comes twice is
    taken for stolen, and ends the session for everybody who has a token of it.

    After five failures to log in an email has to wait, 30 seconds at first and twice as long each time, up to fifteen
    minutes. Tokens and keys go on meanwhile.
    """
    if form.grant_type == "refresh_token":
        pair, refusal = await refresh(parts, form.needed("refresh_token")), DEAD_TOKEN
    else:
        email, pin = form.needed("username").casefold(), form.needed("password")
        admit(request, parts=parts)
        pair, refusal = await log_in(parts, email=email, pin=pin), WRONG_PIN
    if pair is None:
        return JSONResponse(refusal, status_code=400, headers=NOT_KEPT)
    return JSONResponse(show_pair(pair), headers=NOT_KEPT)


@router.post("/v1/token/revoke", summary="Log out", responses=problems.documented(ServiceUnavailable))
async def post_revocation(form: Annotated[RevocationForm, Form()], parts: FromParts) -> JSONResponse:
    """End the session that a token belongs to: its refresh tokens at once, its access tokens within five seconds.

    Always 200, also for a token that is none (RFC 7009).
    """
    await log_out(parts, form.token)
    return JSONResponse({}, headers=NOT_KEPT)
