"""Open wallets over HTTP again and again, one by one and in lists: one each, and each answered for itself."""

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import httpx2
import pytest

from tests.callers import Person, answered, operating, problem_in
from tests.running_system import System

AT_ONCE = 12
LIST_MAX = 1_000
INVALID = "validation_failed"
NAME_LENGTH_MAX = 200
LIST_BYTES_MAX = 1024 * 1024


@pytest.fixture
def name() -> str:
    """An external_id that nobody has used: the system is shared."""
    return token_hex(8)


def opened(http: httpx2.Client, *asked: tuple[str, str]) -> list[tuple[int, Any]]:
    """Open wallets by (external_id, currency) in one list; give each item's status, and its wallet or its problem."""
    body = [{"external_id": external_id, "currency": currency} for external_id, currency in asked]
    answer = answered(lambda: http.post("/v1/wallets", json=body))
    assert answer.status_code == 200, answer.text
    return [(item["status"], item.get("wallet") or item["problem"]) for item in answer.json()["data"]]


class TestPeople:
    def test_have_one_in_each_currency(self, payer: Person) -> None:
        first, again = (payer.http.post("/v1/wallets", json={"currency": "EUR"}) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        assert (
            first.json().items() >= {"currency": "EUR", "balance": 0, "owner_id": payer.id, "kind": "personal"}.items()
        )
        there = payer.http.post("/v1/wallets", json={"currency": "BDT"})
        assert (there.status_code, there.json()["id"]) == (200, payer.wallet_id)
        listed = [wallet["id"] for wallet in payer.http.get("/v1/wallets").json()["data"]]
        assert listed == [first.json()["id"], payer.wallet_id]

    def test_give_them_no_names_and_open_no_lists(self, payer: Person, name: str) -> None:
        for body in ({"currency": "EUR", "external_id": name}, [{"currency": "EUR"}]):
            problem_in(payer.http.post("/v1/wallets", json=body), status=403, code="insufficient_scope")

    def test_have_them_in_known_currencies_alone(self, payer: Person) -> None:
        problem_in(payer.http.post("/v1/wallets", json={"currency": "QQQ"}), status=422, code="currency_unknown")


class TestOperators:
    def test_have_one_under_each_name(self, operator: httpx2.Client, name: str) -> None:
        body = {"external_id": name, "currency": "CZK"}
        first, again = (operator.post("/v1/wallets", json=body) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        other = operator.post("/v1/wallets", json={**body, "currency": "EUR"})
        problem_in(other, status=409, code="external_id_taken")

    def test_give_each_a_name(self, operator: httpx2.Client, name: str) -> None:
        problem = problem_in(operator.post("/v1/wallets", json={"currency": "CZK"}), status=422, code=INVALID)
        assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/external_id", "missing")]
        answer = operator.post("/v1/wallets", json=[{"currency": "CZK", "external_id": name}, {"currency": "CZK"}])
        named, nameless = answer.json()["data"]
        assert (named["status"], nameless["status"], nameless["problem"]["code"]) == (201, 422, INVALID)
        assert [error["pointer"] for error in nameless["problem"]["errors"]] == ["/1/external_id"]

    def test_open_a_thousand_with_the_longest_names_at_once(self, operator: httpx2.Client, name: str) -> None:
        asked = [(f"{name}{n:{NAME_LENGTH_MAX - len(name)}}", "CZK") for n in range(LIST_MAX)]
        answers = opened(operator, *asked)
        assert {status for status, _ in answers} == {201}
        assert [wallet["external_id"] for _, wallet in answers] == [external_id for external_id, _ in asked]

    def test_send_no_more_than_a_megabyte(self, operator: httpx2.Client) -> None:
        for content in (b" " * (LIST_BYTES_MAX + 1), (b" " * 4_096 for _ in range(LIST_BYTES_MAX // 4_096 + 1))):
            answer = operator.post("/v1/wallets", content=content, headers={"Content-Type": "application/json"})
            problem_in(answer, status=413, code="body_too_large")

    def test_open_lists_whose_items_are_answered_alone(self, operator: httpx2.Client, name: str) -> None:
        ((_, there),) = opened(operator, (f"{name}-there", "CZK"))
        answers = opened(
            operator,
            (f"{name}-new", "CZK"),
            (f"{name}-there", "CZK"),
            (f"{name}-there", "EUR"),
            (f"{name}-strange", "QQQ"),
            (f"{name}-new", "CZK"),
        )
        assert [status for status, _ in answers] == [201, 200, 409, 422, 200]
        assert answers[1][1] == there
        assert answers[4][1] == answers[0][1]
        assert [problem["code"] for _, problem in answers[2:4]] == ["external_id_taken", "currency_unknown"]

    def test_give_a_name_to_whoever_asks_first_in_a_list(self, operator: httpx2.Client, name: str) -> None:
        """Two currencies under one new name: the first is opened, the second is told so."""
        (first, koruna), (second, problem) = opened(operator, (name, "CZK"), (name, "EUR"))
        assert (first, koruna["currency"]) == (201, "CZK")
        assert (second, problem["code"]) == (409, "external_id_taken")

    def test_open_the_same_ones_at_once(self, system: System, name: str) -> None:
        names = [f"{name}-{n}" for n in range(20)]

        def open_all(backwards: int) -> list[tuple[int, Any]]:
            asked = [(external_id, "CZK") for external_id in names]
            with operating(system) as http:
                return opened(http, *(reversed(asked) if backwards else asked))

        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = [answer for listed in threads.map(open_all, [0, 1] * (AT_ONCE // 2)) for answer in listed]
        assert sorted({status for status, _ in answers}) == [200, 201]
        assert sum(status == 201 for status, _ in answers) == len(names)
        assert len({wallet["id"] for _, wallet in answers}) == len(names)
