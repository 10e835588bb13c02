"""Shape what is sent and answered about API keys."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from api.strict import PlainText, StrictModel
from shared.database.api_keys import ApiKey
from shared.domain import wire

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})")

Scope = Literal[
    "transfers:read", "transfers:write", "wallets:read", "webhooks:manage", "events:read", "operator"
]  # fmt: skip


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("must be a time as RFC 3339 has it, like 2027-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a time before the year 10000") from error


class NewKey(StrictModel):
    """A key to make."""

    name: Annotated[PlainText, Field(min_length=1, max_length=100)] | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=10, description="`operator` is for operators alone.")]
    expires_at: Annotated[datetime, BeforeValidator(_moment)] | None = None


def show_key(key: ApiKey) -> dict[str, Any]:
    """Show a key to its owner, all but the key itself."""
    return {
        "id": str(key.id),
        "name": key.name,
        "scopes": key.scopes,
        "created_at": wire.moment(key.created_at),
        "expires_at": wire.moment(key.expires_at) if key.expires_at else None,
        "last_used_at": wire.moment(key.last_used_at) if key.last_used_at else None,
    }
