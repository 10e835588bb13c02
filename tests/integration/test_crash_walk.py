"""Kill each part at each of its crash points, start it again, and see that nothing is lost, doubled or out of order.

The points are those that a run passes: before every exchange with PostgreSQL, and after it where no transaction is left
open. What is killed are processes; the time for which others leave the dead alone is made to pass.
"""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from shared.database.key_registration import register_key
from shared.domain.api_key import hash_key
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.scope import OPERATOR
from shared.identifiers import new_id
from tests.crashing import scenes
from tests.crashing.scenes import Owed, Queued
from tests.crashing.walk import Crashing
from tests.ledger import Ledger
from tests.receiver import Receiver, receiving
from tests.webhook_worker import Owing

SHARES: Final = 2
"""A walk is gone in so many parts, side by side."""

UNCERTAIN_DELIVERIES_MAX: Final = 2
"""Of the points of a share: those that a run need not pass."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(scenes.Moods()) as receiver:
        yield receiver


@pytest.mark.parametrize("share", range(SHARES))
def test_what_is_accepted_has_one_effect_and_one_answer(crashing: Crashing, share: int) -> None:
    ledger = crashing.ledger
    register_key(
        ledger.connection,
        key_id=new_id(),
        owner_id=OPERATORS_OWNER_ID,
        key_hash=hash_key(scenes.KEY),
        scopes=[OPERATOR],
    )
    points = crashing.points("accept", asked=scenes.requests(ledger, n=0), passes_max=6)
    assert len(points) >= 35, points
    for n, point in enumerate(points[share::SHARES], start=1):
        asked = scenes.requests(ledger, n=n)
        crashing.notes()
        crashing.die("accept", crash=point, asked=asked)
        before = crashing.notes()
        crashing.live("accept", asked=asked)
        after = crashing.notes()
        assert [answer["status"] for answer in after[:5]] == [202, 202, 422, 202, 202], point
        # Whoever has signed up already is told so.
        assert after[5]["status"] in {201, 409}, point
        assert before[:5] == after[: len(before[:5])], point
        assert [after[0], after[3]] == [after[1], after[4]], point
        assert scenes.accepted_under(ledger, n=n) == (1, 1, 3, 1, 1), point
    crashing.live("lane")
    assert scenes.not_ended(ledger) == []


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize(("scene", "points_min"), [(scenes.at_ease, 40), (scenes.with_care, 65), (scenes.given_up, 60)])
def test_a_lane_applies_each_once_and_in_order(
    crashing: Crashing, receiver: Receiver, scene: Callable[[Ledger], Queued], points_min: int, share: int
) -> None:
    ledger = crashing.ledger
    Owing(connection=ledger.connection).endpoint(receiver.url, owner_id=OPERATORS_OWNER_ID)
    scene(ledger)
    points = crashing.points("lane")
    assert len(points) >= points_min, points
    for n, point in enumerate(points[share::SHARES]):
        some = scene(ledger)
        crashing.die("lane", crash=point)
        # Upkeep does what a worker would: it finds what has been left.
        crashing.live("upkeep" if n % 2 else "lane")
        assert some.complaints() == [], point
    crashing.live("lane")
    assert scenes.not_ended(ledger) == []
    crashing.live("deliver")
    assert scenes.untold(ledger, receiver) == []


@pytest.mark.parametrize("share", range(SHARES))
def test_upkeep_does_what_is_left_the_next_time(crashing: Crashing, receiver: Receiver, share: int) -> None:
    ledger = crashing.ledger
    endpoint_id = Owing(connection=ledger.connection).endpoint(receiver.url, owner_id=OPERATORS_OWNER_ID)
    scenes.all_to_do(ledger, endpoint_id)
    points = crashing.points("upkeep")
    assert len(points) >= 85, points
    for point in points[share::SHARES]:
        some = scenes.all_to_do(ledger, endpoint_id)
        crashing.die("upkeep", crash=point)
        crashing.live("upkeep")
        assert some.complaints() == [], point
        assert scenes.left_to_do(ledger) == (0, 0, 0, 0), point
    crashing.live("lane")
    assert scenes.not_ended(ledger) == []
    crashing.live("deliver")
    assert scenes.untold(ledger, receiver) == []


@pytest.mark.parametrize("share", range(SHARES))
def test_webhooks_are_told_until_it_is_recorded(crashing: Crashing, receiver: Receiver, share: int) -> None:
    books = Owing(connection=crashing.ledger.connection)
    scenes.owed(books, receiver.url)
    points = crashing.points("deliver", passes_max=1)
    assert len(points) >= 18, points
    owed: list[Owed] = []
    died = 0
    for point in points[share::SHARES]:
        owed.append(scenes.owed(books, receiver.url))
        # Sends end in an order of their own, and so what is recorded in one go.
        died += crashing.may_die("deliver", crash=point)
        crashing.live("deliver")
        assert owed[-1].complaints() == [], point
    assert died >= len(owed) - UNCERTAIN_DELIVERIES_MAX
    assert scenes.untold_by(owed, receiver, books) == []
