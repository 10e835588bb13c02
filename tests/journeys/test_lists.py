"""Page through lists while rows arrive: newest first, each once, and only what was asked for."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.callers import Person, ended, pay, problem_in, signed_up
from tests.running_system import System


@pytest.fixture(scope="module")
def payee(system: System) -> Iterator[Person]:
    """Somebody who is paid."""
    with signed_up(system) as person:
        yield person


@pytest.fixture(scope="module")
def payer(system: System, payee: Person) -> Iterator[Person]:
    """Somebody who has paid six times: 1 to 5, and then more than they had."""
    with signed_up(system) as person:
        for amount in (1, 2, 3, 4, 5, 500_000):
            fields = {"reference": f"payment {amount}"}
            answer = pay(person.http, to=payee.wallet_id, amount=amount, key=f"key-{amount}", fields=fields)
            ended(person.http, answer.json()["id"])
        yield person


def pages(http: httpx2.Client, path: str, *, limit: int) -> Iterator[dict[str, Any]]:
    """Follow the cursors to the last page."""
    cursor: dict[str, str] = {}
    while True:
        answer = http.get(path, params={"limit": str(limit), **cursor})
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        assert len(page["data"]) == limit if page["has_more"] else len(page["data"]) <= limit
        assert (page["next_cursor"] is not None) == page["has_more"] == ('rel="next"' in answer.headers.get("link", ""))
        yield page
        if not page["has_more"]:
            return
        cursor = {"cursor": page["next_cursor"]}


def amounts(http: httpx2.Client, query: str) -> list[int]:
    return [transfer["amount"] for transfer in http.get(f"/v1/transfers?{query}").json()["data"]]


class TestPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_hold_every_transfer_once(self, payer: Person, limit: int) -> None:
        rows = [row for page in pages(payer.http, "/v1/transfers", limit=limit) for row in page["data"]]
        assert [row["amount"] for row in rows] == [500_000, 5, 4, 3, 2, 1, 500_000]
        assert len({row["id"] for row in rows}) == 7

    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 100])
    def test_hold_every_entry_once(self, payer: Person, limit: int) -> None:
        path = f"/v1/wallets/{payer.wallet_id}/entries"
        rows = [row for page in pages(payer.http, path, limit=limit) for row in page["data"]]
        assert [row["number"] for row in rows] == [6, 5, 4, 3, 2, 1]

    def test_stay_as_they_were_while_rows_arrive(self, system: System, payee: Person) -> None:
        with signed_up(system) as person:
            sent = [pay(person.http, to=payee.wallet_id, amount=1, key=f"early-{n}").json()["id"] for n in range(4)]
            seen: list[str] = []
            for number, page in enumerate(pages(person.http, "/v1/transfers", limit=2)):
                seen += [row["id"] for row in page["data"]]
                pay(person.http, to=payee.wallet_id, amount=1, key=f"late-{number}")
            assert seen[:4] == sent[::-1]
            assert len(seen) == len(set(seen)) == 5

    def test_are_found_by_the_link_they_carry(self, payer: Person) -> None:
        first = payer.http.get("/v1/transfers?limit=3")
        link = first.headers["link"].partition(">")[0].removeprefix("<")
        assert [row["amount"] for row in payer.http.get(link).json()["data"]] == [3, 2, 1]

    def test_have_twenty_rows_unless_asked(self, operator: httpx2.Client) -> None:
        assert len(operator.get("/v1/wallets?kind=issuance").json()["data"]) == 20


class TestTransfers:
    def test_are_those_of_a_status(self, payer: Person) -> None:
        assert amounts(payer.http, "status=failed") == [500_000]
        assert amounts(payer.http, "status=succeeded") == [5, 4, 3, 2, 1, 500_000]
        assert amounts(payer.http, "status=queued") == []

    def test_are_those_of_an_idempotency_key(self, payer: Person) -> None:
        assert amounts(payer.http, "idempotency_key=key-3") == [3]
        assert amounts(payer.http, "idempotency_key=key") == []

    def test_are_those_of_a_reference(self, payer: Person) -> None:
        assert amounts(payer.http, "reference=payment%204") == [4]
        assert amounts(payer.http, "reference=payment") == []

    def test_are_those_of_a_wallet(self, payer: Person, payee: Person) -> None:
        assert amounts(payer.http, f"wallet_id={payee.wallet_id}") == [500_000, 5, 4, 3, 2, 1]
        assert len(amounts(payer.http, f"wallet_id={payer.wallet_id}")) == 7
        assert amounts(payer.http, f"wallet_id={payer.id}") == []

    def test_are_seen_by_the_payee_once_they_succeeded(self, payer: Person, payee: Person) -> None:
        seen = payee.http.get("/v1/transfers", params={"limit": 100}).json()["data"]
        from_payer = [row["amount"] for row in seen if row["source_wallet_id"] == payer.wallet_id]
        assert from_payer == [5, 4, 3, 2, 1]


LISTS = (
    "/v1/transfers",
    "/v1/transfers?status=succeeded",
    "/v1/transfers?wallet_id={wallet_id}",
    "/v1/wallets/{wallet_id}/entries",
    "/v1/events",
    "/v1/events?types=transfer.succeeded",
)


@pytest.mark.parametrize("path", LISTS)
class TestCursor:
    @pytest.fixture
    def cursor(self, payer: Person, path: str) -> str:
        first = payer.http.get(f"{path.format(wallet_id=payer.wallet_id)}{'&' if '?' in path else '?'}limit=1")
        return first.json()["next_cursor"]

    def send(self, person: Person, path: str, cursor: str) -> httpx2.Response:
        name = "after" if path.startswith("/v1/events") else "cursor"
        return person.http.get(f"{path}{'&' if '?' in path else '?'}{name}={cursor}")

    def test_leads_on(self, payer: Person, path: str, cursor: str) -> None:
        assert self.send(payer, path.format(wallet_id=payer.wallet_id), cursor).status_code == 200

    def test_is_good_for_one_list_under_one_filter(self, payer: Person, path: str, cursor: str) -> None:
        for other in set(LISTS) - {path}:
            answer = self.send(payer, other.format(wallet_id=payer.wallet_id), cursor)
            problem_in(answer, status=400, code="cursor_invalid")

    def test_is_good_for_one_caller(self, payer: Person, payee: Person, path: str, cursor: str) -> None:
        if "{wallet_id}" in path and "entries" in path:
            return  # another's wallet is not found at all
        answer = self.send(payee, path.format(wallet_id=payer.wallet_id), cursor)
        problem_in(answer, status=400, code="cursor_invalid")

    def test_is_not_to_be_changed(self, payer: Person, path: str, cursor: str) -> None:
        middle = len(cursor) // 2
        changed = [cursor[:middle] + other + cursor[middle + 1 :] for other in "AzQ9_-" if other != cursor[middle]]
        spoilt = [
            "",
            cursor[1:],
            cursor[:-1],
            cursor + "A",
            cursor + "=",
            f"%20{cursor}",
            "%00",
            "\N{BENGALI DIGIT ONE}",
            "x" * 2_000,
        ]
        for wrong in (*changed, *spoilt, cursor.swapcase()):
            answer = self.send(payer, path.format(wallet_id=payer.wallet_id), wrong)
            problem_in(answer, status=400, code="cursor_invalid")
