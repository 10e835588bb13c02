"""Look after an endpoint: change it, give it a new secret, test it, see what it was sent, and have that sent again."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from secrets import token_hex
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from shared import clock
from tests.callers import Person, pay, problem_in
from tests.eventually import eventually
from tests.journeys.test_webhooks import ENDPOINTS, listen, told
from tests.receiver import Received, Receiver, Reply, receiving

YESTERDAY = (clock.now() - timedelta(days=1)).isoformat()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def tell(payer: Person, payee: Person) -> str:
    """Bring an event about; give the transfer's id."""
    return pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8)).json()["id"]


def deliveries(http: httpx2.Client, endpoint: dict[str, Any], **filters: str) -> list[dict[str, Any]]:
    answer = http.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries", params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def post(http: httpx2.Client, endpoint: dict[str, Any], what: str, body: object = None) -> httpx2.Response:
    return http.post(f"{ENDPOINTS}/{endpoint['id']}/{what}", json=body)


def patch(person: Person, endpoint: dict[str, Any], **fields: object) -> httpx2.Response:
    return person.http.patch(f"{ENDPOINTS}/{endpoint['id']}", json=fields)


class TestChange:
    def test_is_of_what_is_named_and_nothing_else(self, payer: Person) -> None:
        made = listen(payer, "http://127.0.0.1:8099/a", description="books", event_types=["transfer.failed"])
        del made["secret"]
        assert patch(payer, made).json() == made
        changed = patch(payer, made, url="http://127.0.0.1:8099/b").json()
        assert changed == {**made, "url": "http://127.0.0.1:8099/b"}
        cleared = patch(payer, made, description=None, event_types=None).json()
        assert cleared == {**changed, "description": None, "event_types": None}
        assert payer.http.get(f"{ENDPOINTS}/{made['id']}").json() == cleared

    def test_sends_what_is_still_pending_to_the_new_address(
        self, payer: Person, payee: Person, receiver: Receiver
    ) -> None:
        with receiving(lambda _: Reply(status=500)) as broken:
            endpoint = listen(payer, broken.url)
            tell(payer, payee)
            eventually(lambda: broken.received)
            patch(payer, endpoint, url=receiver.url)
            (delivery,) = deliveries(payer.http, endpoint)
            assert post(payer.http, endpoint, f"deliveries/{delivery['id']}/resend").status_code == 202
            told(receiver, endpoint["secret"], count=1)

    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"url": None}, "/url"),
            ({"url": "ftp://example.com/"}, "/url"),
            ({"event_types": ["transfer.queued"]}, "/event_types/0"),
            ({"event_types": []}, "/event_types"),
            ({"enabled": "yes"}, "/enabled"),
            ({"enabled": None}, "/enabled"),
            ({"secret": "whsec_"}, "/secret"),
        ],
    )
    def test_is_refused_with_the_field_that_is_wrong(
        self, payer: Person, fields: dict[str, object], pointer: str
    ) -> None:
        endpoint = listen(payer, "http://127.0.0.1:8099/a")
        problem = problem_in(patch(payer, endpoint, **fields), status=422, code="validation_failed")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]

    def test_is_for_its_owner_alone(self, payer: Person, payee: Person, operator: httpx2.Client) -> None:
        endpoint = listen(payer, "http://127.0.0.1:8099/a")
        problem_in(patch(payee, endpoint, enabled=False), status=404, code="endpoint_not_found")
        problem_in(post(payee.http, endpoint, "rotate-secret", {}), status=404, code="endpoint_not_found")
        problem_in(post(operator, endpoint, "rotate-secret", {}), status=404, code="endpoint_not_found")
        problem_in(post(payee.http, endpoint, "test"), status=404, code="endpoint_not_found")
        problem_in(post(payee.http, endpoint, "recover", {"since": YESTERDAY}), status=404, code="endpoint_not_found")


class TestRotation:
    def test_lets_both_secrets_verify_for_a_while_the_new_one_first(self, payer: Person, receiver: Receiver) -> None:
        endpoint = listen(payer, receiver.url)
        rotated = post(payer.http, endpoint, "rotate-secret", {}).json()
        assert rotated["secret"] != endpoint["secret"]
        post(payer.http, endpoint, "test")
        eventually(lambda: receiver.received)
        (request,) = receiver.received
        assert request.verified(endpoint["secret"]) == request.verified(rotated["secret"])
        first, second = request.headers["webhook-signature"].split(" ")
        assert _signed_with_one(request, first).verified(rotated["secret"])
        assert _signed_with_one(request, second).verified(endpoint["secret"])
        assert rotated["previous_secret_until"] > clock.now().isoformat()

    def test_without_grace_ends_the_secret_of_before_at_once(self, payer: Person, receiver: Receiver) -> None:
        endpoint = listen(payer, receiver.url)
        rotated = post(payer.http, endpoint, "rotate-secret", {"grace_period_seconds": 0}).json()
        post(payer.http, endpoint, "test")
        eventually(lambda: receiver.received)
        (request,) = receiver.received
        assert request.verified(rotated["secret"])
        with pytest.raises(WebhookVerificationError):
            request.verified(endpoint["secret"])

    @pytest.mark.parametrize("seconds", [-1, 604_801, 1.5, "60", None])
    def test_is_for_a_week_at_most(self, payer: Person, seconds: object) -> None:
        endpoint = listen(payer, "http://127.0.0.1:8099/a")
        answer = post(payer.http, endpoint, "rotate-secret", {"grace_period_seconds": seconds})
        assert (
            problem_in(answer, status=422, code="validation_failed")["errors"][0]["pointer"] == "/grace_period_seconds"
        )


class TestPing:
    def test_is_sent_now_whatever_was_asked_for(self, payer: Person, receiver: Receiver) -> None:
        endpoint = listen(payer, receiver.url, event_types=["transfer.failed"])
        answer = post(payer.http, endpoint, "test")
        assert answer.status_code == 202, answer.text
        (event,) = told(receiver, endpoint["secret"], count=1)
        assert (event["type"], event["data"]) == ("ping", {"endpoint_id": endpoint["id"]})
        assert event["id"] == answer.json()["event_id"]
        assert base64.b64decode(endpoint["secret"].removeprefix("whsec_"))


class TestDeliveries:
    def test_are_listed_by_what_became_of_them(self, payer: Person, payee: Person, receiver: Receiver) -> None:
        endpoint = listen(payer, receiver.url)
        for _ in range(3):
            tell(payer, payee)
        post(payer.http, endpoint, "test")
        eventually(lambda: len(deliveries(payer.http, endpoint, status="delivered")) == 4)
        assert [d["event_type"] for d in deliveries(payer.http, endpoint, event_type="ping")] == ["ping"]
        assert deliveries(payer.http, endpoint, status="exhausted") == []
        assert deliveries(payer.http, endpoint, status="pending", event_type="ping") == []
        page = payer.http.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries", params={"limit": 3, "status": "delivered"})
        cursor = page.json()["next_cursor"]
        rest = deliveries(payer.http, endpoint, status="delivered", cursor=cursor)
        assert len({delivery["id"] for delivery in [*page.json()["data"], *rest]}) == 4
        other_filter = payer.http.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries", params={"cursor": cursor})
        problem_in(other_filter, status=400, code="cursor_invalid")

    @pytest.mark.parametrize("filters", [{"status": "lost"}, {"event_type": "transfer.queued"}])
    def test_are_not_listed_by_what_does_not_exist(self, payer: Person, filters: dict[str, str]) -> None:
        endpoint = listen(payer, "http://127.0.0.1:8099/a")
        answer = payer.http.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries", params=filters)
        problem_in(answer, status=422, code="validation_failed")

    def test_tell_of_each_attempt(self, payer: Person) -> None:
        with receiving(lambda _: Reply(status=503, body=b"closed\0 for today")) as closed:
            endpoint = listen(payer, closed.url)
            made = post(payer.http, endpoint, "test").json()
            address = f"{ENDPOINTS}/{endpoint['id']}/deliveries/{made['id']}"
            # Another follows in some seconds.
            attempt, *_ = eventually(lambda: payer.http.get(address).json()["attempts"])
        assert attempt.pop("duration_ms") >= 0
        assert attempt.pop("started_at") > made["created_at"]
        assert attempt == {"number": 1, "http_status": 503, "error": None, "answer_excerpt": "closed for today"}
        unknown = payer.http.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries/{endpoint['id']}")
        problem_in(unknown, status=404, code="delivery_not_found")

    def test_are_sent_again_under_the_same_id_also_by_an_operator(
        self, payer: Person, payee: Person, operator: httpx2.Client, receiver: Receiver
    ) -> None:
        endpoint = listen(payer, receiver.url)
        tell(payer, payee)
        (delivery,) = eventually(lambda: deliveries(payer.http, endpoint, status="delivered"))
        for count, http in ((2, payer.http), (3, operator)):
            answer = post(http, endpoint, f"deliveries/{delivery['id']}/resend")
            assert answer.status_code == 202, answer.text
            eventually(lambda count=count: len(receiver.received) == count)
            eventually(lambda: deliveries(payer.http, endpoint, status="delivered"))
        assert len(set(receiver.ids())) == len({request.body for request in receiver.received}) == 1
        answer = post(payee.http, endpoint, f"deliveries/{delivery['id']}/resend")
        problem_in(answer, status=404, code="endpoint_not_found")
        answer = post(payer.http, endpoint, f"deliveries/{endpoint['id']}/resend")
        problem_in(answer, status=404, code="delivery_not_found")


class TestDisabling:
    def test_by_410_is_told_once_and_what_was_missed_can_be_recovered(
        self, payer: Person, payee: Person, operator: httpx2.Client, receiver: Receiver
    ) -> None:
        replies = iter([Reply(status=410)])
        with receiving(lambda _: next(replies, Reply())) as moving:
            endpoint, other = (
                listen(payer, moving.url),
                listen(payer, receiver.url, event_types=["webhook_endpoint.disabled"]),
            )
            missed = [tell(payer, payee)]
            (notice,) = told(receiver, other["secret"], count=1)
            shown = payer.http.get(f"{ENDPOINTS}/{endpoint['id']}").json()
            assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
            assert notice["type"] == "webhook_endpoint.disabled"
            assert notice["data"] == {
                "endpoint_id": endpoint["id"],
                "url": moving.url,
                "disabled_reason": "gone",
                "disabled_at": shown["disabled_at"],
            }
            feed = payer.http.get("/v1/events", params={"types": "webhook_endpoint.disabled"}).json()["data"]
            assert feed == [notice]
            missed += [tell(payer, payee) for _ in range(2)]
            # One that is listed after them shows that they were applied, and that no delivery was made.
            eventually(lambda: payer.balance_minor == 500_000 - 3)
            assert [d["status"] for d in deliveries(payer.http, endpoint)] == ["exhausted"]
            for what, body in (("test", None), ("recover", {"since": YESTERDAY})):
                problem_in(post(payer.http, endpoint, what, body), status=409, code="endpoint_disabled")

            assert patch(payer, endpoint, enabled=True).json()["disabled_at"] is None
            answer = post(operator, endpoint, "recover", {"since": YESTERDAY})
            assert answer.status_code == 202, answer.text
            events = told(moving, endpoint["secret"], count=4)[1:]
        assert {event["data"]["id"] for event in events} == set(missed)
        assert len(receiver.received) == 1

    def test_by_the_owner_ends_what_is_pending_and_is_told_to_nobody(
        self, payer: Person, payee: Person, receiver: Receiver
    ) -> None:
        with receiving(lambda _: Reply(status=500)) as broken:
            endpoint, other = listen(payer, broken.url), listen(payer, receiver.url)
            tell(payer, payee)
            eventually(lambda: broken.received and receiver.received)
            shown = patch(payer, endpoint, enabled=False).json()
            assert (shown["enabled"], shown["disabled_reason"]) == (False, "owner")
            assert patch(payer, endpoint, enabled=False).json() == shown
            eventually(lambda: deliveries(payer.http, endpoint, status="exhausted"))
            post(payer.http, other, "test")
            assert [event["type"] for event in told(receiver, other["secret"], count=2)] == [
                "transfer.succeeded",
                "ping",
            ]


class TestRecovery:
    def test_is_of_the_window_that_was_asked_for(self, payer: Person) -> None:
        endpoint = listen(payer, "http://127.0.0.1:8099/a")
        answer = post(
            payer.http, endpoint, "recover", {"since": "2026-01-01T06:00:00+06:00", "until": "9999-12-31T23:59:59Z"}
        )
        assert answer.status_code == 202, answer.text
        assert answer.json()["since"] == "2026-01-01T00:00:00.000000Z"
        assert answer.json()["until"] == answer.json()["requested_at"]

    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({}, "/since"),
            ({"since": None}, "/since"),
            ({"since": 0}, "/since"),
            ({"since": "yesterday"}, "/since"),
            ({"since": "2026-01-01"}, "/since"),
            ({"since": "2026-01-01T00:00:00"}, "/since"),
            ({"since": "0001-01-01T00:00:00+14:00"}, "/since"),
            ({"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "/until"),
        ],
    )
    def test_is_refused_with_the_field_that_is_wrong(
        self, payer: Person, fields: dict[str, object], pointer: str
    ) -> None:
        endpoint = listen(payer, "http://127.0.0.1:8099/a")
        problem = problem_in(post(payer.http, endpoint, "recover", fields), status=422, code="validation_failed")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_operators_see_how_everybodys_endpoints_fare(payer: Person, operator: httpx2.Client) -> None:
    with receiving(lambda _: Reply(status=500)) as broken:
        endpoint = listen(payer, broken.url)
        post(payer.http, endpoint, "test")
        # Between two attempts nothing is due.
        shown = eventually(lambda: _failed_and_not_due(operator, endpoint))
        assert 1 <= shown["failures"] <= len(broken.received)
    assert shown["owner_id"] == payer.id
    assert shown["failing_since"] > endpoint["created_at"]
    assert "secret" not in shown
    problem_in(payer.http.get("/v1/system/webhook-endpoints"), status=403, code="insufficient_scope")


def _of(operator: httpx2.Client, endpoint: dict[str, Any]) -> dict[str, Any]:
    page = operator.get("/v1/system/webhook-endpoints", params={"limit": 100}).json()["data"]
    return next(shown for shown in page if shown["id"] == endpoint["id"])


def _failed_and_not_due(operator: httpx2.Client, endpoint: dict[str, Any]) -> dict[str, Any]:
    shown = _of(operator, endpoint)
    return shown if shown["failures"] and not shown["due"] else {}


def _signed_with_one(request: Received, signature: str) -> Received:
    headers = {**request.headers, "webhook-signature": signature}
    return Received(path=request.path, headers=headers, body=request.body)
