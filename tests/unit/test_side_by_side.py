"""Hold for_each to its bound, its order and its first failure."""

import asyncio

import pytest

from hishab.side_by_side import for_each


class TestForEach:
    def test_begins_in_order_and_never_has_more_under_way_than_it_may(self) -> None:
        begun: list[int] = []
        under_way: set[int] = set()
        most = 0

        async def work(number: int) -> None:
            nonlocal most
            begun.append(number)
            under_way.add(number)
            most = max(most, len(under_way))
            await asyncio.sleep(0)
            under_way.remove(number)

        asyncio.run(for_each(range(50), work, at_once_max=7))
        assert begun == list(range(50))
        assert most == 7

    def test_raises_the_first_failure_and_begins_nothing_after_it(self) -> None:
        begun: list[int] = []

        async def work(number: int) -> None:
            begun.append(number)
            await asyncio.sleep(0)
            if number == 3:
                raise LookupError(number)

        with pytest.raises(LookupError, match="3"):
            asyncio.run(for_each(range(1_000), work, at_once_max=2))
        assert len(begun) < 10
