"""Do the same work for many things at once, but never for more than so many."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def for_each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, at_once_max: int) -> None:
    """Await `work` for every item, at most `at_once_max` at a time, begun in the order of the items.

    Raises:
        Exception: The first that `work` raised; what was under way is cancelled, what was not begun is left out.
    """
    waiting = iter(items)

    async def take_turns() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once_max):
                group.create_task(take_turns())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
