"""Shape what is sent and answered about people."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.strict import Email, PlainText, StrictModel
from shared.database.users import User
from shared.domain import wire
from shared.domain.pin import is_too_common


def _uncommon(pin: str) -> str:
    if is_too_common(pin):
        raise PydanticCustomError("pin_too_common", "is among those that anybody would try first")
    return pin


Pin = Annotated[
    str,
    Field(pattern=r"^[0-9]{5}$", description="Five digits, and not those that anybody would try first."),
    AfterValidator(_uncommon),
]


class SignUp(StrictModel):
    """Who wants a wallet."""

    name: Annotated[PlainText, Field(min_length=1, max_length=100)]
    email: Email
    pin: Pin


def show_user(user: User) -> dict[str, Any]:
    """Show a person to themselves."""
    return {"id": str(user.id), "name": user.name, "email": user.email, "created_at": wire.moment(user.created_at)}
