"""Make API keys, use them for what they are for, and revoke them: a key is shown once and does what it says."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from secrets import token_hex

import httpx2
import pytest

from shared import clock
from tests.access import await_refusal, execute, is_good, keyed, make_key
from tests.callers import Person, answered, connected, ended, operators_wallet, pay, problem_in
from tests.eventually import eventually
from tests.running_system import System

SHOWN = {"id", "name", "scopes", "created_at", "expires_at", "last_used_at"}
MADE_UP = "0198c0de-0000-7000-8000-000000000000"
KEYS_MAX = 100


def in_a_while(**time: float) -> str:
    return (clock.now() + timedelta(**time)).isoformat()


class TestMaking:
    def test_shows_the_key_once_and_keeps_its_hash(self, system: System, payer: Person) -> None:
        made = make_key(payer.http, "wallets:read", "transfers:read", "wallets:read", name="the shop's till")
        assert made.keys() == SHOWN | {"key"}
        assert (made["name"], made["expires_at"], made["last_used_at"]) == ("the shop's till", None, None)
        assert made["scopes"] == ["transfers:read", "wallets:read"]
        assert len(base64.urlsafe_b64decode(made["key"].removeprefix("sk_") + "=")) == 32
        kept = execute(system, "SELECT key_hash FROM api_keys WHERE id = %s", [made["id"]])
        assert kept == [(hashlib.sha256(made["key"].encode()).digest(),)]
        (listed,) = payer.http.get("/v1/api-keys").json()["data"]
        assert listed == {name: made[name] for name in SHOWN}

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/scopes"),
            ({"scopes": []}, "/scopes"),
            ({"scopes": ["everything"]}, "/scopes/0"),
            ({"scopes": ["keys:manage"]}, "/scopes/0"),
            ({"scopes": "wallets:read"}, "/scopes"),
            ({"scopes": ["wallets:read"], "name": ""}, "/name"),
            ({"scopes": ["wallets:read"], "name": "\x00"}, "/name"),
            ({"scopes": ["wallets:read"], "owner_id": MADE_UP}, "/owner_id"),
            *(
                ({"scopes": ["wallets:read"], "expires_at": moment}, "/expires_at")
                for moment in (
                    "", "tomorrow", 4_000_000_000, "2020-01-01T00:00:00Z", "2099-02-30T00:00:00Z",
                    "2099-01-01T00:00:00", "2099-01-01", "9999-12-31T23:59:59-23:59", "2099-01-01T99:00:00Z",
                )
            ),
        ],
    )  # fmt: skip
    def test_refuses_what_makes_no_sense(self, payer: Person, body: dict[str, object], pointer: str) -> None:
        problem = problem_in(payer.http.post("/v1/api-keys", json=body), status=422, code="validation_failed")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]

    def test_gives_no_scope_that_its_maker_does_not_have(self, payer: Person) -> None:
        answer = payer.http.post("/v1/api-keys", json={"scopes": ["wallets:read", "operator"]})
        problem_in(answer, status=403, code="insufficient_scope")

    def test_is_not_done_with_a_key(self, system: System, payer: Person) -> None:
        everything = ("transfers:read", "transfers:write", "wallets:read", "webhooks:manage", "events:read")
        key_id = make_key(payer.http, "wallets:read")["id"]
        with keyed(system, payer.http, *everything) as http:
            for answer in (
                http.post("/v1/api-keys", json={"scopes": ["wallets:read"]}),
                http.get("/v1/api-keys"),
                http.delete(f"/v1/api-keys/{key_id}"),
            ):
                problem_in(answer, status=403, code="insufficient_scope")

    def test_by_operators_gives_keys_of_operators(self, system: System, operator: httpx2.Client) -> None:
        with keyed(system, operator, "operator") as http:
            assert http.post("/v1/system/audits").status_code == 202
            assert operators_wallet(http)
        with keyed(system, operator, "wallets:read") as http:
            assert http.get("/v1/wallets?kind=issuance").json()["data"]
            problem_in(http.post("/v1/system/audits"), status=403, code="insufficient_scope")
        answer = operator.post("/v1/api-keys", json={"scopes": ["transfers:write"]})
        problem = problem_in(answer, status=422, code="validation_failed")
        assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/scopes", "operator_missing")]

    def test_stops_at_a_hundred_however_many_ask_at_once(self, system: System, payer: Person) -> None:
        execute(
            system,
            "INSERT INTO api_keys (id, owner_id, key_hash, scopes, created_at)"
            " SELECT gen_random_uuid(), %s, sha256(gen_random_uuid()::text::bytea), '{}', now()"
            " FROM generate_series(1, %s)",
            [payer.id, KEYS_MAX - 3],
        )
        body = {"scopes": ["wallets:read"]}
        with ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(answered, lambda: payer.http.post("/v1/api-keys", json=body)) for _ in range(8)]
        answers = [future.result() for future in asked]
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 5
        refused = next(answer for answer in answers if answer.status_code == 409)
        problem_in(refused, status=409, code="api_key_limit_reached")
        made = next(answer.json() for answer in answers if answer.status_code == 201)
        assert payer.http.delete(f"/v1/api-keys/{made['id']}").status_code == 204
        assert payer.http.post("/v1/api-keys", json=body).status_code == 201


class TestUsing:
    def test_does_what_it_is_for(self, system: System, payer: Person, payee: Person) -> None:
        with keyed(system, payer.http, "transfers:write", "transfers:read") as http:
            accepted = pay(http, to=payee.wallet_id, amount=1, key=token_hex(8))
            assert accepted.status_code == 202, accepted.text
            assert ended(http, accepted.json()["id"])["status"] == "succeeded"

    def test_is_noted_once_a_minute(self, system: System, payer: Person) -> None:
        made = make_key(payer.http, "wallets:read")

        def last_used() -> str | None:
            assert is_good(system, made["key"])
            return payer.http.get("/v1/api-keys").json()["data"][0]["last_used_at"]

        first = last_used()
        assert first is not None
        execute(
            system,
            "UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds' WHERE id = %s",
            [made["id"]],
        )
        eventually(lambda: (again := last_used()) is not None and again >= first)
        noted = last_used()
        assert is_good(system, made["key"])
        assert last_used() == noted

    def test_ends_when_it_expires(self, system: System, payer: Person) -> None:
        made = make_key(payer.http, "wallets:read", expires_at=in_a_while(hours=1))
        assert is_good(system, made["key"])
        execute(system, "UPDATE api_keys SET expires_at = expires_at - interval '1 hour' WHERE id = %s", [made["id"]])
        await_refusal(system, made["key"])

    def test_ends_when_it_is_revoked(self, system: System, payer: Person) -> None:
        made = make_key(payer.http, "wallets:read")
        assert is_good(system, made["key"])
        assert payer.http.delete(f"/v1/api-keys/{made['id']}").status_code == 204
        await_refusal(system, made["key"])
        assert payer.http.get("/v1/api-keys").json()["data"] == []
        problem_in(payer.http.delete(f"/v1/api-keys/{made['id']}"), status=404, code="api_key_not_found")


class TestListing:
    def test_comes_in_pages_newest_first(self, payer: Person) -> None:
        made = [make_key(payer.http, "wallets:read")["id"] for _ in range(3)]
        first = payer.http.get("/v1/api-keys?limit=2").json()
        assert [key["id"] for key in first["data"]] == made[:0:-1]
        rest = payer.http.get("/v1/api-keys", params={"limit": 2, "cursor": first["next_cursor"]}).json()
        assert [key["id"] for key in rest["data"]] == made[:1]
        assert (first["has_more"], rest["has_more"]) == (True, False)

    def test_is_ones_own(self, payer: Person, payee: Person) -> None:
        made = make_key(payer.http, "wallets:read")
        assert payee.http.get("/v1/api-keys").json()["data"] == []
        theirs = problem_in(payee.http.delete(f"/v1/api-keys/{made['id']}"), status=404, code="api_key_not_found")
        made_up = problem_in(payee.http.delete(f"/v1/api-keys/{MADE_UP}"), status=404, code="api_key_not_found")
        assert theirs["detail"] == made_up["detail"]
        assert [key["id"] for key in payer.http.get("/v1/api-keys").json()["data"]] == [made["id"]]


def test_a_key_without_a_scope_is_refused_by_every_operation_that_needs_it(system: System, payer: Person) -> None:
    """Read from OpenAPI, so that a new operation is asked too. What is sent makes no sense: scopes go first."""
    with connected(system, None) as http:
        paths = http.get("/openapi.json").json()["paths"]
    asked = 0
    with (
        keyed(system, payer.http, "wallets:read") as reader,
        keyed(system, payer.http, "events:read") as listener,
    ):
        for path, item in paths.items():
            for method, operation in item.items():
                needed = [scope for way in operation.get("security", ()) for scopes in way.values() for scope in scopes]
                if not needed:
                    continue
                http = listener if needed == ["wallets:read"] else reader
                if needed == ["events:read"]:
                    http = reader
                address = path
                for name in operation.get("parameters", ()):
                    value = "1" if name["schema"].get("type") == "integer" else MADE_UP
                    address = address.replace(f"{{{name['name']}}}", value) if name["in"] == "path" else address
                answer = http.request(method.upper(), address, json={} if "requestBody" in operation else None)
                problem_in(answer, status=403, code="insufficient_scope")
                asked += 1
    assert asked >= 18
