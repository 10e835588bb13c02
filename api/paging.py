"""Page through lists: newest first, by keys and never by offsets, so that pages are stable while rows arrive."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Query, Request, Response

from shared.domain.errors import CursorInvalid

LIMIT_MAX: Final = 100

Row = TypeVar("Row")
Position = TypeVar("Position")

_NUMBER: Final = re.compile(r"[0-9]{1,18}")

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Rows a page.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list of one caller, under one filter: cursors are bound to it."""

    name: str
    owner_id: str
    filters: tuple[str | None, ...] = ()

    def position(self, cursor: str | None, *, read: Callable[[str], Position]) -> Position | None:
        """Read where the page before ended.

        Args:
            read: Reads a position, or raises ValueError: cursors are not signed, so anybody can make one.

        Raises:
            CursorInvalid: It is not a cursor of ours, or is another listing's.
        """
        if cursor is None:
            return None
        try:
            position, _, _ = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==").decode().rpartition(".")
            found = read(position)
        except ValueError as error:
            raise CursorInvalid from error
        if self.cursor(position) != cursor:
            raise CursorInvalid
        return found

    def cursor(self, position: object) -> str:
        """Write down where a page ends, and whose page of what."""
        text = f"{position}.{self._check(str(position))}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _check(self, position: str) -> str:
        text = json.dumps([self.name, self.owner_id, *self.filters, position])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def number(text: str) -> int:
    """Read a position that is a number.

    Raises:
        ValueError: It is none, or larger than any BIGINT.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPage:
    """Which page of a list is asked for, and what answers with it.

    Attributes:
        limit: Rows to show.
    """

    request: Request
    response: Response
    cursor: str | None
    limit: int

    @property
    def rows_to_read(self) -> int:
        """Count one more than are shown: whether it is there says whether there is a next page."""
        return self.limit + 1

    def page(
        self,
        rows: Sequence[Row],
        *,
        listing: Listing,
        position: Callable[[Row], object],
        show: Callable[[Row], dict[str, Any]],
    ) -> dict[str, Any]:
        """Make a page of the rows that were read, and link to the next one."""
        shown, has_more = rows[: self.limit], len(rows) > self.limit
        next_cursor = listing.cursor(position(shown[-1])) if has_more else None
        if next_cursor:
            next_url = self.request.url.include_query_params(cursor=next_cursor)
            # Without scheme and host: a proxy may have changed both.
            self.response.headers["Link"] = f'<{next_url.path}?{next_url.query}>; rel="next"'
        return {"data": [show(row) for row in shown], "has_more": has_more, "next_cursor": next_cursor}


async def asked_page(
    *,
    request: Request,
    response: Response,
    cursor: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
    limit: Limit = 20,
) -> AskedPage:
    """Read which page is asked for. Awaits nothing, but a plain function would be run in a thread."""
    return AskedPage(request=request, response=response, cursor=cursor, limit=limit)


FromPage = Annotated[AskedPage, Depends(asked_page)]
