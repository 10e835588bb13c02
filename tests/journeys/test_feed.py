"""Read the feed of events: what webhooks tell, oldest first, each once, and only what is one's own business."""

from collections.abc import Iterator
from typing import Any, Final

import httpx2
import pytest

from api.paging import Listing
from tests.callers import Person, ended, pay, problem_in, signed_up
from tests.eventually import eventually
from tests.receiver import Reply, receiving
from tests.running_system import System

FEED: Final = "/v1/events"
DISABLED: Final = "webhook_endpoint.disabled"


@pytest.fixture(scope="module")
def payee(system: System) -> Iterator[Person]:
    """Somebody who is paid."""
    with signed_up(system) as person:
        yield person


@pytest.fixture(scope="module")
def payer(system: System, payee: Person) -> Iterator[Person]:
    """Somebody who has paid three times, and once more than they had."""
    with signed_up(system) as person:
        for amount in (1, 2, 3, 10**12):
            fields = {"metadata": {"n": str(amount)}, "reference": "feed"}
            answer = pay(person.http, to=payee.wallet_id, amount=amount, key=f"feed-{amount}", fields=fields)
            ended(person.http, answer.json()["id"])
        yield person


def read(http: httpx2.Client, **query: str | list[str]) -> dict[str, Any]:
    answer = http.get(FEED, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert page.keys() == {"data", "has_more", "next_cursor"}
    return page


def amounts(page: dict[str, Any]) -> list[int]:
    return [event["data"]["amount"] for event in page["data"]]


class TestFeed:
    def test_tells_the_payer_of_both_ends_and_the_payee_of_success(self, payer: Person, payee: Person) -> None:
        own = read(payer.http, limit="100")["data"]
        assert [(event["type"], event["data"]["amount"]) for event in own] == [
            ("transfer.succeeded", 500_000),
            ("transfer.succeeded", 1),
            ("transfer.succeeded", 2),
            ("transfer.succeeded", 3),
            ("transfer.failed", 10**12),
        ]
        theirs = [event for event in read(payee.http, limit="100")["data"] if event["data"]["reference"] == "feed"]
        assert [event["data"]["amount"] for event in theirs] == [1, 2, 3]
        assert [event["id"] for event in theirs] == [event["id"] for event in own[1:4]]
        assert [event["data"]["metadata"] for event in own[1:4]] == [{"n": "1"}, {"n": "2"}, {"n": "3"}]
        assert {event["data"]["metadata"] for event in theirs} == {None}

    @pytest.mark.parametrize("limit", [1, 2, 5, 100])
    def test_holds_every_event_once_page_by_page(self, payer: Person, limit: int) -> None:
        seen: list[int] = []
        page = read(payer.http, limit=str(limit))
        while page["has_more"]:
            assert len(page["data"]) == limit
            seen += amounts(page)
            page = read(payer.http, limit=str(limit), after=page["next_cursor"])
        assert [*seen, *amounts(page)] == [500_000, 1, 2, 3, 10**12]

    def test_goes_on_after_its_end(self, system: System, payee: Person) -> None:
        with signed_up(system) as person:
            end = read(person.http)
            assert (amounts(end), end["has_more"]) == ([500_000], False)
            still = read(person.http, after=end["next_cursor"])
            assert (still["data"], still["has_more"]) == ([], False)
            ended(person.http, pay(person.http, to=payee.wallet_id, amount=7, key="later").json()["id"])
            for cursor in (end["next_cursor"], still["next_cursor"]):
                assert amounts(read(person.http, after=cursor)) == [7]

    def test_has_a_cursor_before_anything_was_found(self, system: System, payee: Person) -> None:
        with signed_up(system) as person:
            nothing = read(person.http, types="transfer.failed")
            assert (nothing["data"], nothing["has_more"]) == ([], False)
            ended(person.http, pay(person.http, to=payee.wallet_id, amount=10**12, key="too-much").json()["id"])
            assert amounts(read(person.http, types="transfer.failed", after=nothing["next_cursor"])) == [10**12]

    def test_is_of_the_types_asked_for(self, payer: Person) -> None:
        assert amounts(read(payer.http, types="transfer.failed")) == [10**12]
        assert amounts(read(payer.http, types=["transfer.failed", "transfer.succeeded"]))[1:] == [1, 2, 3, 10**12]
        problem_in(payer.http.get(f"{FEED}?types=transfer.vanished"), status=422, code="validation_failed")

    def test_links_to_what_comes_next(self, payer: Person) -> None:
        first = payer.http.get(f"{FEED}?types=transfer.succeeded&limit=2")
        link = first.headers["link"].partition(">")[0].removeprefix("<")
        assert amounts(payer.http.get(link).json()) == [2, 3]

    def test_tells_in_the_bytes_that_webhooks_bring(self, system: System, payee: Person) -> None:
        with signed_up(system) as person, receiving() as receiver:
            person.http.post("/v1/webhook-endpoints", json={"url": receiver.url}).raise_for_status()
            fields = {"metadata": {"b": "1", "a": "ঝ"}}
            ended(person.http, pay(person.http, to=payee.wallet_id, amount=9, key="k", fields=fields).json()["id"])
            eventually(lambda: bool(receiver.received))
            assert receiver.received[0].body in person.http.get(FEED).content

    def test_tells_of_an_endpoint_that_was_given_up_in_the_same_bytes_and_of_no_ping(self, system: System) -> None:
        with (
            signed_up(system) as owner,
            receiving(lambda _: Reply(status=410)) as gone,
            receiving() as other,
        ):
            end = read(owner.http)["next_cursor"]
            wanted = {"event_types": [DISABLED]}
            given_up = owner.http.post("/v1/webhook-endpoints", json={"url": gone.url, **wanted}).json()
            owner.http.post("/v1/webhook-endpoints", json={"url": other.url, **wanted}).raise_for_status()
            assert owner.http.post(f"/v1/webhook-endpoints/{given_up['id']}/test").status_code == 202
            eventually(lambda: bool(other.received))
            (event,) = read(owner.http, after=end)["data"]
            assert (event["type"], event["data"]["endpoint_id"]) == (DISABLED, given_up["id"])
            assert event["data"]["disabled_reason"] == "gone"
            assert other.received[0].body in owner.http.get(FEED, params={"types": DISABLED}).content
            problem_in(owner.http.get(f"{FEED}?types=ping"), status=422, code="validation_failed")

    def test_tells_nobody_else_of_an_endpoint(self, payee: Person) -> None:
        assert read(payee.http, types=DISABLED)["data"] == []

    def test_has_a_cursor_of_lanes_that_there_are(self, payer: Person) -> None:
        forged = Listing(name="events", owner_id=payer.id, filters=())
        assert payer.http.get(FEED, params={"after": forged.cursor("1:0")}).status_code == 200
        for position in ("70000:1", "1:1e9", "1", "-1:1"):
            answer = payer.http.get(FEED, params={"after": forged.cursor(position)})
            problem_in(answer, status=400, code="cursor_invalid")
