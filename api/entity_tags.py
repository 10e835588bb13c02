"""Compare what a caller knows of a resource with how it stands (RFC 9110, If-None-Match)."""

import re
from typing import Annotated, Final

from fastapi import Header

IfNoneMatch = Annotated[
    str | None,
    Header(
        description="The `ETag` of the answer you have: as long as it holds, you are told 304 and nothing else.",
        examples=['"1"'],
    ),
]

# Weak comparison, so W/ before it says nothing.
_TAG: Final = re.compile(r'"[^"]*"')


def entity_tag(version: int) -> str:
    """Spell a version as an ETag."""
    return f'"{version}"'


def is_known(entity_tag: str, *, if_none_match: str | None) -> bool:
    """Say whether a caller has the representation with this tag already; `*` is any."""
    known = if_none_match or ""
    return known.strip() == "*" or entity_tag in _TAG.findall(known)


def is_old(entity_tag: str, *, if_none_match: str | None) -> bool:
    """Say whether this is nothing to tell somebody who waits: they know it, or wait for the end and named nothing."""
    return if_none_match is None or is_known(entity_tag, if_none_match=if_none_match)
