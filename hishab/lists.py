"""Go through a list of the server's, page after page."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

from pydantic import BaseModel

from hishab.answers import Page
from hishab.sending import Request, Sender, parse

Item = TypeVar("Item", bound=BaseModel)
Params = Sequence[tuple[str, str]]

PAGE_LIMIT = ("limit", "100")


async def pages(
    sender: Sender,
    path: str,
    shape: type[Page[Item]],
    *,
    params: Params = (),
    begins_at: str | None = None,
    behind: str = "cursor",
) -> AsyncGenerator[Page[Item]]:
    """Yield page after page; `behind` is what the list calls the parameter that says where one begins."""
    cursor = begins_at
    while True:
        place = [] if cursor is None else [(behind, cursor)]
        page = parse(await sender.send(Request(path=path, params=[*params, PAGE_LIMIT, *place])), shape)
        yield page
        cursor = page.next_cursor
        if not page.has_more or cursor is None:
            return


async def items(sender: Sender, path: str, shape: type[Page[Item]], *, params: Params = ()) -> AsyncGenerator[Item]:
    """Yield what stands on the pages of a list."""
    async with aclosing(pages(sender, path, shape, params=params)) as found:
        async for page in found:
            for item in page.data:
                yield item
