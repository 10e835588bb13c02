"""Ask for what is somebody else's: the answer is that of what does not exist. Audits are for operators alone."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.callers import Person, audited, ended, operating, operators_wallet, pay, problem_in, signed_up
from tests.running_system import System

MADE_UP = "0198c0de-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def anna(system: System) -> Iterator[Person]:
    with signed_up(system) as person:
        yield person


@pytest.fixture(scope="module")
def boris(system: System) -> Iterator[Person]:
    with signed_up(system) as person:
        yield person


@pytest.fixture(scope="module")
def failed_transfer(anna: Person, boris: Person) -> str:
    """A transfer from Anna to Boris that failed: Anna's business alone."""
    transfer = ended(anna.http, pay(anna.http, to=boris.wallet_id, amount=10**12, key="too-much").json()["id"])
    assert transfer["status"] == "failed"
    return transfer["id"]


def not_found(http: httpx2.Client, path: str, *, code: str) -> dict[str, Any]:
    """Give the problem, without what differs between any two requests."""
    problem = problem_in(http.get(path), status=404, code=code)
    return {name: value for name, value in problem.items() if name not in {"instance", "request_id"}}


class TestSomebodyElses:
    def test_wallet_might_as_well_not_exist(self, anna: Person, boris: Person) -> None:
        for path in ("/v1/wallets/{}", "/v1/wallets/{}/entries"):
            assert anna.http.get(path.format(anna.wallet_id)).status_code == 200
            theirs = not_found(anna.http, path.format(boris.wallet_id), code="wallet_not_found")
            assert theirs == not_found(anna.http, path.format(MADE_UP), code="wallet_not_found")

    def test_operators_wallet_might_as_well_not_exist(self, system: System, anna: Person) -> None:
        with operating(system) as http:
            wallet_id = operators_wallet(http)
            assert http.get(f"/v1/wallets/{wallet_id}").status_code == 200
            not_found(http, f"/v1/wallets/{anna.wallet_id}", code="wallet_not_found")
        not_found(anna.http, f"/v1/wallets/{wallet_id}", code="wallet_not_found")

    def test_wallet_as_a_source_might_as_well_not_exist(self, anna: Person, boris: Person) -> None:
        problems = [
            problem_in(
                pay(anna.http, to=anna.wallet_id, amount=1, key="not-mine", fields={"source_wallet_id": source}),
                status=404,
                code="wallet_not_found",
            )
            for source in (boris.wallet_id, MADE_UP)
        ]
        assert problems[0]["detail"] == problems[1]["detail"]

    def test_transfer_might_as_well_not_exist(
        self, system: System, anna: Person, boris: Person, failed_transfer: str
    ) -> None:
        assert anna.http.get(f"/v1/transfers/{failed_transfer}").json()["status"] == "failed"
        made_up = not_found(boris.http, f"/v1/transfers/{MADE_UP}", code="transfer_not_found")
        with operating(system) as http, signed_up(system) as carla:
            for path in ("/v1/transfers/{}", "/v1/transfers/{}/events"):
                assert anna.http.get(path.format(failed_transfer)).status_code == 200
                for stranger in (boris.http, carla.http, http):
                    for transfer_id in (failed_transfer, MADE_UP):
                        problem = not_found(stranger, path.format(transfer_id), code="transfer_not_found")
                        assert problem == made_up

    def test_list_stays_theirs(self, anna: Person, boris: Person, failed_transfer: str) -> None:
        def ids(person: Person, path: str) -> set[str]:
            return {row["id"] for row in person.http.get(path).json()["data"]}

        assert failed_transfer in ids(anna, "/v1/transfers?idempotency_key=too-much")
        assert ids(boris, "/v1/transfers?idempotency_key=too-much") == set()
        assert failed_transfer not in ids(boris, "/v1/transfers")
        assert ids(boris, "/v1/wallets") == {boris.wallet_id}

    def test_cursor_leads_nowhere(self, anna: Person, boris: Person) -> None:
        ended(anna.http, pay(anna.http, to=boris.wallet_id, amount=1, key="a-second-row").json()["id"])
        page = anna.http.get("/v1/transfers?limit=1").json()
        assert page["has_more"] is True
        path = f"/v1/transfers?limit=1&cursor={page['next_cursor']}"
        assert anna.http.get(path).status_code == 200
        problem_in(boris.http.get(path), status=400, code="cursor_invalid")

    def test_metadata_stays_the_payers(self, anna: Person, boris: Person) -> None:
        fields = {"metadata": {"why": "a secret"}, "note": "for tea"}
        transfer_id = pay(anna.http, to=boris.wallet_id, amount=1, key="with-a-secret", fields=fields).json()["id"]
        assert ended(anna.http, transfer_id)["metadata"] == {"why": "a secret"}
        seen = boris.http.get(f"/v1/transfers/{transfer_id}").json()
        assert (seen["metadata"], seen["note"]) == (None, "for tea")


class TestAudit:
    def test_is_for_operators_alone(self, system: System, anna: Person) -> None:
        problem_in(anna.http.post("/v1/system/audits"), status=403, code="insufficient_scope")
        with operating(system) as http:
            audit_id = audited(http)["id"]
            not_found(http, f"/v1/system/audits/{MADE_UP}", code="audit_not_found")
        for path in (f"/v1/system/audits/{audit_id}", f"/v1/system/audits/{MADE_UP}"):
            problem_in(anna.http.get(path), status=403, code="insufficient_scope")
