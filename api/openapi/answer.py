"""Say of what parts the description of an answer is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel

CURSOR: Final = "MTcuOWYyYzRhNmI4ZDBlMWYzYQ"
LOCATION: Final = {"Location": "Where to look for it."}
RETRY_AFTER: Final = {"Retry-After": "Seconds to wait before asking again."}
LINK: Final = {"Link": '`rel="next"`: the next page, if there is one.'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one status brings.

    Attributes:
        shapes: Of the body, one of these; none for no body.
        examples: By name; each is of one of the shapes.
        headers: What each says, by name.
        leads_to: Operations, each with the parameter that takes the body's `id`.
    """

    description: str
    shapes: tuple[type[BaseModel], ...] = ()
    examples: Mapping[str, object] = field(default_factory=dict[str, object])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    leads_to: Mapping[str, str] = field(default_factory=dict[str, str])


def shown(
    shape: type[BaseModel], example: object, *, headers: Mapping[str, str] | None = None, description: str = "It is."
) -> Answer:
    """Describe an answer that is one thing."""
    return Answer(description=description, shapes=(shape,), examples={"example": example}, headers=headers or {})


def page(shape: type[BaseModel], row: object) -> Answer:
    """Describe an answer that is a page of a list."""
    example = {"data": [row], "has_more": True, "next_cursor": CURSOR}
    return shown(shape, example, headers=LINK, description="A page, newest first.")
