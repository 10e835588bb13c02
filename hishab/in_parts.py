"""Cut a long question into several that the server takes."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def in_parts(
    items: Sequence[Item], *, items_max: int, bytes_max: int, size: Callable[[Item], int]
) -> Iterator[list[Item]]:
    """Yield the items in runs of at most so many, and so many bytes; one that is larger goes alone."""
    part: list[Item] = []
    part_bytes = 0
    for item in items:
        item_bytes = size(item)
        if part and (len(part) == items_max or part_bytes + item_bytes > bytes_max):
            yield part
            part, part_bytes = [], 0
        part.append(item)
        part_bytes += item_bytes
    if part:
        yield part
