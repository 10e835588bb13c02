"""Describe what one status of an operation brings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel

from api.openapi.examples import CURSOR

ID: Final = "$response.body#/id"
FIRST_ID: Final = "$response.body#/data/0/id"
NEXT_CURSOR: Final = "$response.body#/next_cursor"
"""Where in an answer there is what another operation takes."""

LOCATION: Final = {"Location": "Where to look for it."}
RETRY_AFTER: Final = {"Retry-After": "Seconds to wait before asking again."}
NOT_KEPT: Final = {"Cache-Control": "`no-store`"}
WAITED: Final = {
    "Preference-Applied": "`wait=N`, where a wait was asked for and granted: not where too many wait already.",
    "Vary": "`Prefer`",
}
READING: Final = {
    "ETag": "Its version, in quotes.",
    "Cache-Control": "`private, no-cache`",
    "Retry-After": "In seconds, while it may change.",
    **WAITED,
}
ACCEPTANCE: Final = {**LOCATION, "Idempotency-Key": "The key that was sent.", **WAITED}

# Of an operation that leads somewhere: which parameters it takes, each with where its value is found.
Leads = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one status brings.

    Attributes:
        shapes: Of the body, one of these; none for no body.
        examples: By name; each is of one of the shapes.
        stream: An example of what comes as Server-Sent Events, to who would rather have those.
        headers: What each says, by name.
        leads_to: Operations that go on from here.
    """

    description: str
    shapes: tuple[type[BaseModel], ...] = ()
    examples: Mapping[str, object] = field(default_factory=dict[str, object])
    stream: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    leads_to: Leads = field(default_factory=dict[str, Mapping[str, str]])


Answers = Mapping[str, Mapping[int, Answer]]
"""By the name of the operation, then by status."""

Requests = Mapping[str, Mapping[str, object]]
"""By the name of the operation: what to send."""


def shown(
    shape: type[BaseModel],
    example: object,
    *,
    description: str = "It is.",
    headers: Mapping[str, str] | None = None,
    leads_to: Leads | None = None,
) -> Answer:
    """Describe an answer of one shape, with one example."""
    return Answer(
        description=description,
        shapes=(shape,),
        examples={"example": example},
        headers=headers or {},
        leads_to=leads_to or {},
    )


def page(
    shape: type[BaseModel], row: object, *, description: str = "A page, newest first.", leads_to: Leads | None = None
) -> Answer:
    """Describe a page of a list, of one row."""
    return shown(
        shape,
        {"data": [row], "has_more": True, "next_cursor": CURSOR},
        description=description,
        headers={"Link": '`rel="next"`: the next page, if there is one.'},
        leads_to=leads_to,
    )


def unchanged(what: str) -> Answer:
    """Describe a 304."""
    return Answer(description=f"{what} stands as `If-None-Match` says; no body.", headers=READING)
