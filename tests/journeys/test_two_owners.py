"""Ask for what is somebody else's: the answer is that of what does not exist. What is the operators' is closed."""

from collections.abc import Callable, Iterator, Mapping
from secrets import token_hex
from typing import Any, Final

import httpx2
import pytest

from tests.callers import Person, audited, connected, ended, operating, operators_wallet, pay, problem_in, signed_up
from tests.running_system import System
from tests.specification import Operation, specification, specified

MADE_UP = "0198c0de-0000-7000-8000-000000000000"

OPERATIONS: Final = specified(specification())


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


def endpoint_of(person: Person) -> str:
    """Have somebody listen; give the endpoint's id."""
    answer = person.http.post("/v1/webhook-endpoints", json={"url": "https://example.org/hooks"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def key_of(person: Person) -> str:
    """Have somebody make an API key; give its id."""
    answer = person.http.post("/v1/api-keys", json={"scopes": ["transfers:read"]})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def batch_of(person: Person) -> str:
    """Have somebody send a batch; give its id."""
    transfer = {"destination_wallet_id": operators_wallet_id(person), "amount": 10**12, "currency": "BDT"}
    headers = {"Idempotency-Key": token_hex(8)}
    answer = person.http.post("/v1/transfer-batches", json={"transfers": [transfer]}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def delivery_of(person: Person, endpoint_id: str) -> str:
    """Have somebody test an endpoint of theirs; give the delivery's id."""
    answer = person.http.post(f"/v1/webhook-endpoints/{endpoint_id}/test")
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def failed_transfer_of(person: Person) -> str:
    """Have somebody fail to pay; give the transfer's id."""
    key = token_hex(8)
    sent = pay(person.http, to=operators_wallet_id(person), amount=10**12, key=key)
    return ended(person.http, sent.json()["id"])["id"]


def operators_wallet_id(person: Person) -> str:
    """Find a wallet that is not theirs: that their opening grant came from."""
    (grant,) = person.http.get("/v1/transfers?reference=opening-grant").json()["data"]
    return grant["source_wallet_id"]


# What an id in an operation's address is of, by the name that it has there, and how somebody comes by one.
OWNED: Final[Mapping[str, Callable[[Person], str]]] = {
    "wallet_id": lambda person: person.wallet_id,
    "transfer_id": failed_transfer_of,
    "endpoint_id": endpoint_of,
    "key_id": key_of,
    "batch_id": batch_of,
}


def ids_of(person: Person, operation: Operation) -> dict[str, str]:
    """Have somebody come by what an operation's address needs."""
    names = [name for kind, name in operation.parameters if kind == "path"]
    ids = {name: OWNED[name](person) for name in names if name in OWNED}
    return ids | {name: delivery_of(person, ids["endpoint_id"]) for name in names if name == "delivery_id"}


# Operations whose ids are nobody's own, or that have none: what they show, they show of the caller.
FOR_OPERATORS: Final = {
    *("get_audit", "post_audit", "get_unprocessable_transfers", "get_system_endpoints"),
    *("get_lanes", "post_lane_start"),
}

# Operators see what anybody's endpoint was sent, and may have it sent again.
OPERATORS_TOO: Final = {"get_deliveries", "get_delivery", "post_resend", "post_test", "post_recovery"}
WITHOUT_ID: Final = {
    *(
        "post_token",
        "post_revocation",
        "post_user",
        "post_key",
        "get_keys",
        "post_transfer_batch",
        "get_me",
        "get_my_balance",
        "post_wallet",
        "get_wallets",
        "get_currencies",
    ),
    *("post_transfer", "get_transfers", "get_events", "post_endpoint", "get_endpoints", "get_system_balance"),
    *("get_livez", "get_readyz"),
}
OPEN: Final = {"post_token", "post_revocation", "post_user", "get_currencies", "get_livez", "get_readyz"}
WITH_ID: Final = sorted(name for name, operation in OPERATIONS.items() if "{" in operation.path)


class TestEveryOperation:
    def test_is_accounted_for(self) -> None:
        """One that is new needs a place here: an owner in OWNED, or a reason to be in one of the sets."""
        assert OPERATIONS.keys() == set(WITH_ID) | FOR_OPERATORS | WITHOUT_ID
        ids = {name for place in WITH_ID for kind, name in OPERATIONS[place].parameters if kind == "path"}
        assert ids == {*OWNED, "delivery_id", "audit_id", "lane"}
        assert set(WITH_ID) > OPERATORS_TOO

    @pytest.mark.parametrize("name", sorted(set(WITH_ID) - FOR_OPERATORS))
    def test_answers_for_anothers_id_as_for_a_made_up_one(self, system: System, boris: Person, name: str) -> None:
        operation = OPERATIONS[name]
        with signed_up(system) as owner, operating(system) as operators:
            theirs = ids_of(owner, operation)
            own = operation.path.format(**theirs)
            made_up = operation.path.format(**dict.fromkeys(theirs, MADE_UP))

            def refused(http: httpx2.Client, path: str) -> dict[str, Any]:
                answer = http.request(operation.method, path, json=operation.body)
                problem = problem_in(answer, status=404, code=answer.json()["code"])
                return {field: value for field, value in problem.items() if field not in {"instance", "request_id"}}

            for stranger in (boris.http,) if name in OPERATORS_TOO else (boris.http, operators):
                assert refused(stranger, own) == refused(stranger, made_up)
            assert owner.http.request(operation.method, own, json=operation.body).status_code < 300

    @pytest.mark.parametrize("name", ["get_delivery", "post_resend"])
    def test_knows_no_delivery_but_through_its_own_endpoint(self, anna: Person, boris: Person, name: str) -> None:
        operation = OPERATIONS[name]
        delivery_id = delivery_of(boris, endpoint_of(boris))
        path = operation.path.format(endpoint_id=endpoint_of(anna), delivery_id=delivery_id)
        problem_in(anna.http.request(operation.method, path), status=404, code="delivery_not_found")

    @pytest.mark.parametrize("name", sorted(OPERATORS_TOO))
    def test_of_endpoints_that_operators_help_with_is_open_to_them(self, system: System, name: str) -> None:
        operation = OPERATIONS[name]
        with signed_up(system) as owner, operating(system) as operators:
            path = operation.path.format(**ids_of(owner, operation))
            assert operators.request(operation.method, path, json=operation.body).status_code in {200, 202}

    @pytest.mark.parametrize("name", sorted(FOR_OPERATORS))
    def test_of_the_operators_is_closed_to_people_whatever_the_id(self, boris: Person, name: str) -> None:
        operation = OPERATIONS[name]
        answer = boris.http.request(operation.method, operation.path.format(audit_id=MADE_UP, lane=1))
        problem_in(answer, status=403, code="insufficient_scope")

    @pytest.mark.parametrize("name", sorted(OPERATIONS))
    def test_is_closed_without_credentials_unless_it_is_open(self, system: System, name: str) -> None:
        operation = OPERATIONS[name]
        assert operation.is_open == (name in OPEN)
        if operation.is_open:
            return
        path = operation.path.format_map(dict.fromkeys((*OWNED, "delivery_id", "audit_id", "lane"), MADE_UP))
        with connected(system, None) as http:
            answer = http.request(operation.method, path, json=operation.body)
        problem_in(answer, status=401, code="not_authenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
