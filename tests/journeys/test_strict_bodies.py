"""Send bodies that are not as they should be: each is refused, as a problem that points at what is wrong in it."""

import json
from collections.abc import Iterator
from secrets import token_hex
from typing import Any, Final, Protocol

import httpx2
import pytest

from tests.callers import Person, connected, problem_in, sent_with, signed_up
from tests.running_system import System

JSON: Final = "application/json"
BODY_BYTES_MAX: Final = 64 * 1024
NUL: Final = "\\u0000"
HALF: Final = "\\ud83d"
"""Half of an emoji: a lone surrogate, which no UTF-8 can spell."""

# Amounts as they stand in the JSON.
AMOUNTS: Final = (
    *("true", "false", "null", '"100"', "100.0", "1e2", "1E2", "0.5", "[100]", '{"minor": 100}', '""'),
    *("0", "-0", "-1", "1000000000001", "9223372036854775808", "-9223372036854775809", "9" * 400),
)

# Fields as they stand in the JSON, each with the pointer to what is wrong in it.
FIELDS: Final = (
    ('"fee": 1', "/fee"),
    ('"Amount": 1', "/Amount"),
    ('"": 1', "/"),
    ('"a/b~c": 1', "/a~1b~0c"),
    ('"status": "succeeded"', "/status"),
    ('"currency": "bdt"', "/currency"),
    ('"currency": "BDTT"', "/currency"),
    ('"currency": "BDT\\n"', "/currency"),
    ('"currency": "\uff22\uff24\uff34"', "/currency"),
    ('"currency": null', "/currency"),
    (f'"currency": "BD{NUL}"', "/currency"),
    ('"source_wallet_id": 7', "/source_wallet_id"),
    ('"source_wallet_id": "7"', "/source_wallet_id"),
    ('"source_wallet_id": "{0198c0de-0000-7000-8000-000000000000}"', "/source_wallet_id"),
    ('"source_wallet_id": "urn:uuid:0198c0de-0000-7000-8000-000000000000"', "/source_wallet_id"),
    ('"source_wallet_id": "0198c0de00007000800000000000000\\n"', "/source_wallet_id"),
    (f'"source_wallet_id": "{HALF}"', "/source_wallet_id"),
    ('"destination_email": "somebody"', "/destination_email"),
    (f'"destination_email": "{"x" * 250}@example.org"', "/destination_email"),
    (f'"destination_email": "a{NUL}@example.org"', "/destination_email"),
    (f'"destination_email": "{HALF}@example.org"', "/destination_email"),
    ('"reference": 7', "/reference"),
    (f'"reference": "{"x" * 65}"', "/reference"),
    (f'"reference": "a{NUL}b"', "/reference"),
    (f'"reference": "{HALF}"', "/reference"),
    ('"reference": "a\\nb"', "/reference"),
    (f'"note": "{"x" * 141}"', "/note"),
    (f'"note": "{NUL}"', "/note"),
    (f'"note": "{HALF}"', "/note"),
    ('"note": "\\udd83\\ud83d"', "/note"),
    ('"note": ["a"]', "/note"),
    ('"metadata": "a"', "/metadata"),
    ('"metadata": ["a"]', "/metadata"),
    ('"metadata": {"a": 1}', "/metadata/a"),
    ('"metadata": {"a": null}', "/metadata/a"),
    ('"metadata": {"a": {"b": "c"}}', "/metadata/a"),
    (f'"metadata": {{"a": "{"x" * 201}"}}', "/metadata/a"),
    (f'"metadata": {{"a": "b{NUL}"}}', "/metadata/a"),
    (f'"metadata": {{"a": "{HALF}"}}', "/metadata/a"),
    ('"metadata": {' + ", ".join(f'"{n}": ""' for n in range(17)) + "}", "/metadata"),
)

# Keys of a mapping: the pointer leads to the key, or to the mapping where the key cannot be spelt.
METADATA_KEYS: Final = ("", "x" * 41, f"a{NUL}", HALF, "a\\u001f")

# Bodies that are not JSON as RFC 8259 has it, or that two readers would read differently.
NOT_JSON: Final = {
    "an unfinished object": b'{"amount": 1',
    "a comma too many": b'{"amount": 1,}',
    "single quotes": b"{'amount': 1}",
    "a form": b"amount=1&currency=BDT",
    "words": b"one hundred",
    "a byte order mark": b'\xef\xbb\xbf{"amount": 1}',
    "Latin-1": '{"note": "café"}'.encode("latin-1"),
    "UTF-16": '{"amount": 1}'.encode("utf-16"),
    "overlong UTF-8": b'{"note": "\xc0\x80"}',
    "a surrogate in UTF-8": b'{"note": "\xed\xa0\x80"}',
    "a raw NUL": b'{"note": "\x00"}',
    "a key twice": b'{"amount": 1, "amount": 2}',
    "a key twice, further in": b'{"amount": 1, "metadata": {"a": "1", "a": "2"}}',
    "a key twice, spelt differently": b'{"amount": 1, "\\u0061mount": 2}',
    "NaN": b'{"amount": NaN}',
    "infinity": b'{"amount": Infinity}',
    "minus infinity": b'{"amount": -Infinity}',
    "more than any number": b'{"amount": 1e400}',
    "less than any number": b'{"amount": -1e400}',
    "more digits than are read": b'{"amount": ' + b"9" * 5_000 + b"}",
    "lists without end": b"[" * 60_000,
    "objects without end": b'{"a":' * 10_000,
}

NO_TRANSFER: Final = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a word": b'"amount"',
    "a number": b"1",
    "deep nesting": b"[" * 500 + b"]" * 500,
}


@pytest.fixture(scope="module")
def person(system: System) -> Iterator[Person]:
    """Somebody whose every request here is refused."""
    with signed_up(system) as person:
        yield person


class Sending(Protocol):
    """Send a body as a transfer."""

    def __call__(self, body: bytes | Iterator[bytes], content_type: str | None = JSON) -> httpx2.Response: ...


@pytest.fixture
def refused(system: System, person: Person) -> Iterator[Sending]:
    """Send a body as a transfer, over a connection of its own; afterwards see that nothing was accepted."""
    key = token_hex(8)
    with connected(system, person.token) as http:

        def send(body: bytes | Iterator[bytes], content_type: str | None = JSON) -> httpx2.Response:
            headers = {"Idempotency-Key": key, **({} if content_type is None else {"Content-Type": content_type})}
            return http.post("/v1/transfers", content=body, headers=headers)

        yield send
    assert sent_with(person.http, key) == []
    assert person.balance_minor == 500_000


def body_with(field: str) -> bytes:
    """Spell a transfer that would be accepted, but for this field."""
    name = field.partition(":")[0]
    good = {
        '"amount"': '"amount": 100',
        '"currency"': '"currency": "BDT"',
        '"destination_wallet_id"': '"destination_wallet_id": "0198c0de-0000-7000-8000-000000000000"',
    }
    if name == '"destination_email"':
        del good['"destination_wallet_id"']
    return spelt({**good, name: field})


def spelt(fields: dict[str, str]) -> bytes:
    return ("{" + ", ".join(fields.values()) + "}").encode()


def pointers(problem: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]


class TestTransfer:
    @pytest.mark.parametrize("content_type", [JSON, "Application/JSON; charset=utf-8"])
    def test_is_read_where_nothing_is_wrong(self, refused: Sending, content_type: str) -> None:
        """What the tables below spoil is good: only its destination is unknown."""
        problem_in(refused(body_with('"amount": 100'), content_type), status=422, code="destination_unknown")

    @pytest.mark.parametrize("amount", AMOUNTS, ids=lambda amount: amount[:24])
    def test_has_a_whole_amount_within_limits(self, refused: Sending, amount: str) -> None:
        problem = problem_in(refused(body_with(f'"amount": {amount}')), status=422, code="validation_failed")
        assert pointers(problem) == ["/amount"]

    @pytest.mark.parametrize(("field", "pointer"), FIELDS, ids=lambda text: text[:40])
    def test_has_no_field_that_is_not_as_it_should_be(self, refused: Sending, field: str, pointer: str) -> None:
        problem = problem_in(refused(body_with(field)), status=422, code="validation_failed")
        assert pointers(problem) == [pointer]

    @pytest.mark.parametrize("key", METADATA_KEYS, ids=lambda key: key[:8])
    def test_has_no_metadata_under_a_key_that_is_not_as_it_should_be(self, refused: Sending, key: str) -> None:
        answer = refused(body_with(f'"metadata": {{"{key}": "a"}}'))
        problem = problem_in(answer, status=422, code="validation_failed")
        assert [pointer[:9] for pointer in pointers(problem)] == ["/metadata"]

    def test_does_not_have_a_field_that_cannot_be_spelt(self, refused: Sending) -> None:
        problem_in(refused(body_with(f'"{HALF}": 1')), status=422, code="validation_failed")

    @pytest.mark.parametrize("name", ["amount", "currency"])
    def test_lacks_no_field(self, refused: Sending, name: str) -> None:
        body = json.loads(body_with('"amount": 100'))
        del body[name]
        problem = problem_in(refused(json.dumps(body).encode()), status=422, code="validation_failed")
        assert pointers(problem) == [f"/{name}"]

    def test_has_one_destination(self, refused: Sending, person: Person) -> None:
        body = json.loads(body_with('"amount": 100'))
        two = {**body, "destination_email": person.email}
        none = {name: value for name, value in body.items() if name != "destination_wallet_id"}
        for wrong in (two, none):
            problem = problem_in(refused(json.dumps(wrong).encode()), status=422, code="validation_failed")
            assert pointers(problem) == [""]

    @pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
    def test_is_json_that_everybody_reads_alike(self, refused: Sending, body: bytes) -> None:
        problem_in(refused(body), status=400, code="malformed_request")

    @pytest.mark.parametrize("body", NO_TRANSFER.values(), ids=NO_TRANSFER)
    def test_is_an_object(self, refused: Sending, body: bytes) -> None:
        problem = problem_in(refused(body), status=422, code="validation_failed")
        assert pointers(problem) == [""]

    @pytest.mark.parametrize(
        "content_type",
        [None, "", "text/plain", "text/json", "application/x-www-form-urlencoded", "application/xml", "json"],
    )
    def test_says_that_it_is_json(self, refused: Sending, content_type: str | None) -> None:
        problem_in(refused(body_with('"amount": 100'), content_type), status=415, code="media_type_unsupported")

    def test_is_not_too_large(self, refused: Sending) -> None:
        answer = refused(body_with(f'"note": "{"x" * BODY_BYTES_MAX}"'))
        problem_in(answer, status=413, code="body_too_large")

    def test_is_not_too_large_in_chunks(self, refused: Sending) -> None:
        """A body that does not say how long it is gets no further than one that does."""
        answer = refused(b"x" * 4_096 for _ in range(32))
        problem_in(answer, status=413, code="body_too_large")


class TestSignUp:
    @pytest.mark.parametrize(
        ("field", "pointer"),
        [
            ('"name": ""', "/name"),
            ('"name": 7', "/name"),
            (f'"name": "{"x" * 101}"', "/name"),
            (f'"name": "Rina{NUL}"', "/name"),
            (f'"name": "{HALF}"', "/name"),
            ('"email": "rina"', "/email"),
            ('"email": "rina@localhost"', "/email"),
            ('"email": "rina @example.org"', "/email"),
            ('"email": "ri\u200bna@example.org"', "/email"),
            (f'"email": "{NUL}rina@example.org"', "/email"),
            (f'"email": "{HALF}rina@example.org"', "/email"),
            (f'"pin": "1234{NUL}"', "/pin"),
            (f'"pin": "1234{HALF}"', "/pin"),
            ('"is_operator": true', "/is_operator"),
            ('"balance": 100', "/balance"),
        ],
        ids=lambda text: text[:40],
    )
    def test_has_no_field_that_is_not_as_it_should_be(self, operator: httpx2.Client, field: str, pointer: str) -> None:
        good = {
            '"name"': '"name": "Rina"',
            '"email"': f'"email": "{token_hex(8)}@example.org"',
            '"pin"': '"pin": "86420"',
        }
        body = spelt({**good, field.partition(":")[0]: field})
        answer = operator.post("/v1/users", content=body, headers={"Content-Type": JSON})
        problem = problem_in(answer, status=422, code="validation_failed")
        assert pointers(problem) == [pointer]
        assert "86420" not in answer.text


class TestWallet:
    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            (b'{"currency": "bdt", "external_id": "a"}', "/currency"),
            (b'{"currency": "BDT", "external_id": ""}', "/external_id"),
            (b'{"currency": "BDT", "external_id": "a\\u0000"}', "/external_id"),
            (b'{"currency": "BDT", "external_id": "\\ud83d"}', "/external_id"),
            (b'{"currency": "BDT", "external_id": "a", "balance": 1}', "/balance"),
            (b"[]", ""),
            (b'[{"currency": "BDT", "external_id": "a"}, {"currency": 7, "external_id": "b"}]', "/1/currency"),
            (b'[{"currency": "BDT", "external_id": "a"}, {"currency": "BDT", "external_id": ""}]', "/1/external_id"),
        ],
    )
    def test_is_pointed_at_where_it_is_wrong(self, operator: httpx2.Client, body: bytes, pointer: str) -> None:
        answer = operator.post("/v1/wallets", content=body, headers={"Content-Type": JSON})
        problem = problem_in(answer, status=422, code="validation_failed")
        assert pointers(problem) == [pointer]


class TestLogIn:
    @pytest.mark.parametrize(
        "form",
        [b"", b"grant_type=password", b"username=a", b"grant_type=magic&username=a&password=86420"],
    )
    def test_lacks_nothing(self, operator: httpx2.Client, form: bytes) -> None:
        content_type = "application/x-www-form-urlencoded"
        answer = operator.post("/v1/token", content=form, headers={"Content-Type": content_type})
        problem_in(answer, status=422, code="validation_failed")
        assert "86420" not in answer.text

    @pytest.mark.parametrize(
        ("charset", "password"),
        [
            ("utf-8", b"\x00"),
            ("utf-8", b"\xed\xa0\x80"),
            ("unicode_escape", b"\\ud83d"),
            ("utf-7", b"+2D0-"),
            ("punycode", b"\xff"),
        ],
    )
    def test_does_not_trip_over_what_no_pin_is(self, operator: httpx2.Client, charset: str, password: bytes) -> None:
        parts = [
            b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part
            for part in ((b"username", b"a@example.org"), (b"password", password))
        ]
        content_type = f"multipart/form-data; charset={charset}; boundary=x"
        form = b"".join(parts) + b"--x--\r\n"
        answer = operator.post("/v1/token", content=form, headers={"Content-Type": content_type})
        assert answer.status_code in {400, 422}, answer.text
