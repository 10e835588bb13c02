"""Ask for what there is not, the wrong way or with nonsense after the question mark: always a problem, never a 500."""

from collections.abc import Iterator
from secrets import token_hex
from typing import Final

import httpx2
import psycopg
import pytest

from api.paging import Listing
from tests.callers import Person, connected, problem_in, signed_up
from tests.running_system import System

NOBODYS_ID: Final = "0198c0de-0000-7000-8000-000000000000"

CODES: Final = (
    "validation_failed",
    "malformed_request",
    "not_found",
    "method_not_allowed",
    "body_too_large",
    "media_type_unsupported",
    "internal_error",
    "not_authenticated",
    "insufficient_scope",
    "idempotency_key_reused",
    "wallet_not_found",
    "queue_unavailable",
    "outcome_unknown",
)


@pytest.fixture(scope="module")
def person(system: System) -> Iterator[Person]:
    """Somebody who only asks."""
    with signed_up(system) as person:
        yield person


@pytest.fixture
def http(system: System, person: Person) -> Iterator[httpx2.Client]:
    """A connection of theirs, for one test alone: the server closes it after a defect."""
    with connected(system, person.token) as http:
        yield http


class TestAddress:
    @pytest.mark.parametrize("path", ["/v2/transfers", "/v1", "/v1/nothing", "/.env", "/%00", "/v1/users/me/%F0%9F"])
    def test_is_one_of_ours(self, http: httpx2.Client, path: str) -> None:
        problem_in(http.get(path), status=404, code="not_found")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("PUT", "/v1/transfers", {"GET", "HEAD", "POST"}),
            ("DELETE", "/v1/wallets", {"GET", "HEAD", "POST"}),
            ("DELETE", f"/v1/transfers/{NOBODYS_ID}", {"GET", "HEAD"}),
            ("POST", f"/v1/transfers/{NOBODYS_ID}/events", {"GET", "HEAD"}),
            ("PATCH", f"/v1/wallets/{NOBODYS_ID}", {"GET", "HEAD"}),
            ("POST", f"/v1/wallets/{NOBODYS_ID}/entries", {"GET", "HEAD"}),
            ("GET", "/v1/users", {"POST"}),
            ("GET", "/v1/token", {"POST"}),
            ("POST", "/v1/system/balance", {"GET", "HEAD"}),
            ("DELETE", "/v1/system/audits", {"POST"}),
        ],
    )
    def test_is_asked_in_a_way_it_takes(self, http: httpx2.Client, method: str, path: str, allowed: set[str]) -> None:
        answer = http.request(method, path)
        problem_in(answer, status=405, code="method_not_allowed")
        assert {name.strip() for name in answer.headers["allow"].split(",")} == allowed

    @pytest.mark.parametrize(
        "path",
        ["/v1/transfers/7", "/v1/wallets/7", "/v1/wallets/7/entries", "/v1/transfers/%00", "/v1/transfers/%ED%A0%80"],
    )
    def test_names_things_by_uuids(self, http: httpx2.Client, path: str) -> None:
        problem_in(http.get(path), status=422, code="validation_failed")


class TestQuery:
    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=101",
            "limit=ten",
            "limit=1.5",
            "status=done",
            "status=",
            "idempotency_key=%00",
            "idempotency_key=a%00b",
            f"idempotency_key={'x' * 256}",
        ],
    )
    def test_of_transfers_is_sensible(self, http: httpx2.Client, query: str) -> None:
        problem_in(http.get(f"/v1/transfers?{query}"), status=422, code="validation_failed")

    @pytest.mark.parametrize(
        "query", ["limit=0", "kind=secret", "currency=bdt", "currency=%00%00%00", "external_id=%00", "external_id="]
    )
    def test_of_wallets_is_sensible(self, http: httpx2.Client, query: str) -> None:
        problem_in(http.get(f"/v1/wallets?{query}"), status=422, code="validation_failed")

    @pytest.mark.parametrize(
        "cursor", ["", "7", "%00", "é", "W10", "bnVsbA", "WzEsMl0", "e30", "=" * 8, "W1tbW1tbW1tb", "x" * 501]
    )
    @pytest.mark.parametrize("listing", ["/v1/transfers", "/v1/wallets", "/v1/wallets/{wallet_id}/entries"])
    def test_has_a_cursor_that_we_gave(self, http: httpx2.Client, person: Person, listing: str, cursor: str) -> None:
        path = listing.format(wallet_id=person.wallet_id)
        problem_in(http.get(f"{path}?cursor={cursor}"), status=400, code="cursor_invalid")

    @pytest.mark.parametrize("listing", ["transfers", "wallets", "entries"])
    def test_has_a_cursor_that_was_not_forged(self, http: httpx2.Client, person: Person, listing: str) -> None:
        """Whoever reads the source can bind a cursor to a list of their own; what it holds is still not believed."""
        path, name, filters, good = {
            "transfers": ("/v1/transfers", "transfers", (None, None, None, "None"), "7"),
            "wallets": ("/v1/wallets", "wallets", (None,) * 2, NOBODYS_ID),
            "entries": (f"/v1/wallets/{person.wallet_id}/entries", f"entries of {person.wallet_id}", (), "7"),
        }[listing]
        forged = Listing(name=name, owner_id=person.id, filters=filters)
        assert http.get(path, params={"cursor": forged.cursor(good)}).status_code == 200
        for position in ("abc", "1.5", "9" * 30, NOBODYS_ID[:-1]):
            answer = http.get(path, params={"cursor": forged.cursor(position)})
            problem_in(answer, status=400, code="cursor_invalid")


class TestRequestId:
    @pytest.mark.parametrize("request_id", ["a", "order-7.retry_2", "x" * 128])
    def test_is_the_callers(self, http: httpx2.Client, request_id: str) -> None:
        headers = {"X-Request-ID": request_id}
        assert http.get("/v1/users/me", headers=headers).headers["x-request-id"] == request_id
        problem = problem_in(http.get("/v1/nothing", headers=headers), status=404, code="not_found")
        assert problem["request_id"] == request_id

    @pytest.mark.parametrize("request_id", [None, "", "a b", "x" * 129, '"a"', "a;b", "é".encode()])
    def test_is_made_where_it_is_not_good(self, http: httpx2.Client, request_id: str | bytes | None) -> None:
        value = request_id.encode() if isinstance(request_id, str) else request_id
        headers = {} if value is None else {b"X-Request-ID": value}
        made = {http.get("/v1/users/me", headers=headers).headers["x-request-id"] for _ in range(2)}
        assert len(made) == 2
        assert request_id not in made

    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/docs", "/v1/currencies", "/v1/nothing"])
    def test_is_on_every_answer(self, system: System, path: str) -> None:
        request_id = token_hex(8)
        with connected(system, None) as http:
            answer = http.get(path, headers={"X-Request-ID": request_id})
        assert answer.headers["x-request-id"] == request_id
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_defect_of_ours_gives_nothing_away(system: System, http: httpx2.Client) -> None:
    """A table that is missing stands for any defect."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE currencies RENAME TO currencies_away")
        try:
            answer = http.get("/v1/currencies", headers={"X-Request-ID": "defect-1"})
        finally:
            connection.execute("ALTER TABLE currencies_away RENAME TO currencies")
    problem = problem_in(answer, status=500, code="internal_error")
    assert problem["request_id"] == "defect-1"
    assert not {"SELECT", "psycopg", "Traceback", "relation"} & set(answer.text.replace('"', " ").split())


@pytest.mark.parametrize("code", CODES)
def test_a_problem_links_to_a_page_that_explains_it(system: System, code: str) -> None:
    with connected(system, None) as http:
        page = http.get(f"/problems/{code.replace('_', '-')}")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert code.replace("_", " ").capitalize() in page.text
