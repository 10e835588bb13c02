"""Credentials are remembered for five seconds and no longer: revoking them acts within that time."""

import asyncio
from collections.abc import Callable

import pytest

from api.known_callers import REMEMBERED_MAX, REMEMBERED_SECONDS, Caller, Credited, KnownCallers
from shared.domain.errors import NotAuthenticated
from shared.identifiers import new_id

pytestmark = pytest.mark.anyio

CALLER = Caller(owner_id=new_id(), scopes=frozenset())


def known(*, good_seconds: float = 3_600, looks: Callable[[str], object] = str) -> KnownCallers:
    async def look_up(credentials: str) -> Credited:
        looks(credentials)
        await asyncio.sleep(0)
        return Credited(caller=CALLER, good_seconds=good_seconds)

    return KnownCallers(look_up)


async def test_are_known_for_a_while_and_then_not() -> None:
    callers = known()
    assert await callers.look_up("a", now_seconds=100) is CALLER
    assert callers.find("a", now_seconds=100 + REMEMBERED_SECONDS - 0.1) is CALLER
    assert callers.find("a", now_seconds=100 + REMEMBERED_SECONDS) is None


async def test_are_known_no_longer_than_they_are_good() -> None:
    callers = known(good_seconds=2)
    await callers.look_up("a", now_seconds=100)
    assert callers.find("a", now_seconds=101.9) is CALLER
    assert callers.find("a", now_seconds=102) is None


async def test_are_not_known_as_others() -> None:
    callers = known()
    await callers.look_up("a", now_seconds=100)
    assert callers.find("b", now_seconds=100) is None


def test_that_were_never_looked_up_are_not_known_however_young_the_process() -> None:
    assert known().find("a", now_seconds=0) is None


async def test_are_looked_up_once_for_all_who_ask_at_the_same_time() -> None:
    looks: list[str] = []
    callers = known(looks=looks.append)
    found = await asyncio.gather(*(callers.look_up("a", now_seconds=100) for _ in range(50)))
    assert found == [CALLER] * 50
    assert looks == ["a"]
    await callers.look_up("a", now_seconds=200)
    assert looks == ["a", "a"]


async def test_are_known_from_when_the_look_began_whoever_joined_it_later() -> None:
    callers = known()
    await asyncio.gather(callers.look_up("a", now_seconds=100), callers.look_up("a", now_seconds=104))
    assert callers.find("a", now_seconds=100 + REMEMBERED_SECONDS - 0.1) is CALLER
    assert callers.find("a", now_seconds=100 + REMEMBERED_SECONDS) is None


async def test_that_are_not_good_are_refused_to_all_who_ask_and_looked_up_anew() -> None:
    looks: list[str] = []

    def refuse(credentials: str) -> None:
        looks.append(credentials)
        raise NotAuthenticated

    callers = known(looks=refuse)
    asked = await asyncio.gather(*(callers.look_up("a", now_seconds=100) for _ in range(9)), return_exceptions=True)
    assert all(isinstance(answer, NotAuthenticated) for answer in asked)
    with pytest.raises(NotAuthenticated):
        await callers.look_up("a", now_seconds=100)
    assert looks == ["a", "a"]


async def test_so_many_and_no_more_are_known() -> None:
    callers = known()
    for number in range(REMEMBERED_MAX + 1):
        await callers.look_up(str(number), now_seconds=100)
    assert callers.find("0", now_seconds=100) is None
    assert callers.find(str(REMEMBERED_MAX), now_seconds=100) is CALLER


async def test_somebody_who_goes_away_takes_the_answer_from_nobody() -> None:
    callers = known()
    leaving = asyncio.ensure_future(callers.look_up("a", now_seconds=100))
    staying = asyncio.ensure_future(callers.look_up("a", now_seconds=100))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is CALLER
