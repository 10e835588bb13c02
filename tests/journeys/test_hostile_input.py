"""Send what nobody sends in earnest into every value of every operation: a clear no, or a yes, and never a defect."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2
import pytest

from api.openapi.examples import OTHER_WALLET_ID, USER
from tests.callers import PROBLEM, PROBLEM_FIELDS, operating, operators_wallet, signed_up
from tests.running_system import System
from tests.specification import Operation, specification, specified, text_fields

OPERATIONS: Final = specified(specification())
UUID: Final = "0198c0de-0000-7000-8000-000000000000"
CANARY: Final = "c4nary97531"
"""Stands in everything that is sent. No refusal may give it back: it could be a PIN."""

MARK: Final = '"<here>"'
LARGE: Final = "x" * 1_000_000

# As they stand in JSON.
VALUES: Final = {
    "NUL": f'"{CANARY}\\u0000"',
    "half a pair": f'"{CANARY}\\ud83d"',
    "the wrong way round": f'"{CANARY}\\udd83\\ud83d"',
    "right to left": f'"{CANARY}\\u202e\\u2066"',
    "controls": f'"{CANARY}\\u0085\\u001b[2J\\r\\n"',
    "a megabyte": f'"{CANARY}{LARGE}"',
    "sixty kilobytes": f'"{CANARY}{LARGE[:60_000]}"',
    "nothing": '""',
    "null": "null",
    "a number": "97531",
    "a huge number": "9" * 4_000,
    "a number without end": "9" * 5_000,
    "a large exponent": "1e400",
    "a small exponent": "1e-400",
    "not a number": "NaN",
    "a truth": "true",
    "a list": f'["{CANARY}"]',
    "an object": f'{{"{CANARY}": "{CANARY}"}}',
    "a key twice": f'{{"{CANARY}": 1, "{CANARY}": 2}}',
    "a key that cannot be stored": f'{{"{CANARY}\\u0000": "{CANARY}\\ud83d"}}',
    "depth": '{"a":' * 3_000 + "1" + "}" * 3_000,
    "depth of lists": "[" * 3_000 + "]" * 3_000,
    "quotes": f'"{CANARY}\'; DROP TABLE transfers; --"',
    "a template": f'"{CANARY}%s%(id)s{{0}}"',
}

# As they stand in an address or a form, escaped, and in a header as they are.
BYTES: Final = {
    "NUL": CANARY.encode() + b"\x00",
    "half a pair": CANARY.encode() + b"\xed\xa0\x80",
    "overlong": CANARY.encode() + b"\xc0\x80",
    "not UTF-8": CANARY.encode() + b"\xff\xfe",
    "right to left": (CANARY + "\u202e\u2066").encode(),
    "other digits": "\u09e7\uff11\u00b2".encode(),
    "controls": CANARY.encode() + b"\x1b[2J",
    "a line more": CANARY.encode() + b"\r\nX-Injected: 1",
    "sixty kilobytes": CANARY.encode() + LARGE[:60_000].encode(),
    "nothing": b"",
    "a space": b" ",
    "a number": b"97531",
    "a huge number": b"9" * 5_000,
    "a negative number": b"-1",
    "up": b"../../" + CANARY.encode(),
    "quotes": CANARY.encode() + b"'; DROP TABLE transfers; --",
}


TAKEN: Final = {200, 201, 202}
NEVER_TAKEN: Final = {"post_token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """A person and an operator, and what the person has that bodies can be about: so that some are accepted."""

    person: httpx2.Client
    operator: httpx2.Client
    destination_id: str
    endpoint_id: str

    def bodies(self, operation: Operation) -> Iterator[Any]:
        """Give the examples of an operation's body, with a destination that there is and an email that nobody has."""
        for body in operation.bodies:
            made = json.dumps(body).replace(OTHER_WALLET_ID, self.destination_id)
            yield json.loads(made.replace(USER["email"], f"{token_hex(8)}@example.org"))


@pytest.fixture(scope="module")
def callers(system: System) -> Iterator[Callers]:
    with signed_up(system) as person, operating(system) as operator:
        endpoint = person.http.post("/v1/webhook-endpoints", json={"url": "https://example.org/hooks"})
        yield Callers(
            person=person.http,
            operator=operator,
            destination_id=operators_wallet(operator, currency="BDT"),
            endpoint_id=endpoint.json()["id"],
        )


def hold(answer: httpx2.Response, *, what: str) -> None:
    """Hold an answer to being a yes, or a no in the shape of all of them that gives nothing away."""
    assert answer.status_code != 429 or answer.json()["code"] != "quota_exceeded", f"{what}: was not looked at"
    assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:500]}"
    assert answer.headers["x-request-id"], what
    if answer.status_code < 400 or not answer.content:
        return
    if answer.headers["content-type"] == PROBLEM:
        problem: dict[str, Any] = answer.json()
        assert problem.keys() - {"errors"} == PROBLEM_FIELDS, what
        # The address and a request's own id are given back: the contract says so.
        shown = json.dumps({name: value for name, value in problem.items() if name not in {"instance", "request_id"}})
    else:
        shown = answer.text
    # A pointer names a key that the caller made up; what stands under it is told nowhere.
    pointers = [error["pointer"] for error in answer.json().get("errors", ())]
    for pointer in pointers:
        shown = shown.replace(json.dumps(pointer), "")
    assert CANARY not in shown, f"{what}: {shown[:500]}"
    assert "97531" not in shown, f"{what}: {shown[:500]}"
    assert "x-injected" not in answer.headers, what


def address(operation: Operation, *, name: str = "", value: bytes = b"", place: str = "path") -> str:
    """Spell an operation's address, one value of it spoilt, its other ids made up."""
    path = operation.path
    for where, parameter in operation.parameters:
        if where == "path":
            spoilt = (where, parameter) == (place, name)
            path = path.replace(f"{{{parameter}}}", quote(value, safe="") if spoilt else UUID)
    return f"{path}?{urlencode({name: value})}" if place == "query" else path


def send(http: httpx2.Client, operation: Operation, address: str, **also: Any) -> httpx2.Response:  # noqa: ANN401 (the client's own)
    headers: list[tuple[bytes, bytes]] = [(b"Idempotency-Key", token_hex(8).encode()), *also.pop("headers", [])]
    if operation.media_type and "content" in also:
        headers.append((b"Content-Type", operation.media_type.encode()))
    return http.request(operation.method, address, headers=headers, **also)


def spoilt_bodies(body: object) -> Iterator[tuple[str, bytes]]:
    """Spoil each field of a body in each way, and the body as a whole."""
    for what, value in VALUES.items():
        yield f"body: {what}", value.encode()
    for path in text_fields(body):
        marked: Any = deepcopy(body)
        inner = marked
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = json.loads(MARK)
        for what, value in VALUES.items():
            yield f"{path}: {what}", json.dumps(marked).replace(MARK, value).encode()


def spoilt_forms(body: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Spoil each field of a form in each way."""
    for name in body:
        for what, value in BYTES.items():
            yield f"{name}: {what}", urlencode({**body, name: value}).encode()


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
class TestEveryOperation:
    def test_takes_any_value_in_its_address(self, callers: Callers, operation: Operation) -> None:
        for http in (callers.person, callers.operator):
            for place, name in operation.parameters:
                for what, value in BYTES.items():
                    if place != "header":
                        spoilt = address(operation, name=name, value=value, place=place)
                        hold(send(http, operation, spoilt), what=f"{name}: {what}")

    def test_takes_any_value_in_its_headers(self, callers: Callers, operation: Operation) -> None:
        own = [name for place, name in operation.parameters if place == "header"]
        for name in {*own, "X-Request-ID", "Authorization", "Prefer", "If-None-Match", "Accept", "Last-Event-ID"}:
            for what, value in BYTES.items():
                if not {b"\x00", b"\r"} & {bytes([byte]) for byte in value}:  # these are no header at all
                    spoilt = [(name.encode(), value.strip())]
                    hold(send(callers.person, operation, address(operation), headers=spoilt), what=f"{name}: {what}")

    def test_takes_any_body(self, callers: Callers, operation: Operation) -> None:
        if operation.media_type is None:
            return
        spoil = spoilt_bodies if operation.media_type == "application/json" else spoilt_forms
        at = address(operation).replace(UUID, callers.endpoint_id)
        statuses: set[int] = set()
        for sound in callers.bodies(operation):
            for what, body in spoil(sound):
                answer = send(callers.person, operation, at, content=body)
                hold(answer, what=what)
                statuses.add(answer.status_code)
        # What is odd and yet allowed was not only read, but written.
        assert not TAKEN.isdisjoint(statuses) or operation.name in NEVER_TAKEN, statuses


@pytest.mark.parametrize("header", [b"Idempotency-Key", b"X-Request-ID", b"Authorization", b"X-Made-Up"])
def test_a_megabyte_in_a_header_is_refused_or_ignored(callers: Callers, header: bytes) -> None:
    operation = OPERATIONS["get_transfers"]
    try:
        answer = send(callers.person, operation, operation.path, headers=[(header, LARGE.encode())])
    except httpx2.TransportError:
        return  # turned away at the door
    hold(answer, what=header.decode())
