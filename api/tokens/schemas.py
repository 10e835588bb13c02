"""Shape what is sent to get tokens (RFC 6749, as forms), and what is answered."""

from typing import Annotated, Any, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from api.tokens.sessions import Pair
from api.users.tokens import LIFETIME
from shared.domain.scope import OF_PERSONS


class TokenForm(BaseModel):
    """A log-in, or going on with one. OAuth 2 has more fields than we read, so unknown ones are let pass."""

    model_config = ConfigDict(frozen=True)

    grant_type: Literal["password", "refresh_token"] = "password"
    username: Annotated[str | None, Field(description="The email. For `password`.")] = None
    password: Annotated[
        str | None,
        Field(description="The PIN. For `password`.", json_schema_extra={"format": "password"}, repr=False),
    ] = None
    refresh_token: Annotated[str | None, Field(description="For `refresh_token`.", repr=False)] = None

    def needed(self, name: Literal["username", "password", "refresh_token"]) -> str:
        """Return a field that this kind of grant cannot do without.

        Raises:
            RequestValidationError: It is not there.
        """
        value: str | None = getattr(self, name)
        if value is None:
            raise RequestValidationError([{"type": "missing", "loc": ("body", name), "msg": "Field required"}])
        return value


class RevocationForm(BaseModel):
    """A token of either kind, to be revoked (RFC 7009)."""

    model_config = ConfigDict(frozen=True)

    token: Annotated[str, Field(description="A refresh token or an access token.", repr=False)]
    token_type_hint: Annotated[str | None, Field(description="Not needed: tokens tell their kind.")] = None


def show_pair(pair: Pair) -> dict[str, Any]:
    """Show tokens to whom they belong, once."""
    return {
        "access_token": pair.access_token,
        "token_type": "bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "refresh_token": pair.refresh_token,
        "scope": " ".join(sorted(OF_PERSONS)),
    }
