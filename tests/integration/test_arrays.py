"""Columns reach PostgreSQL as they are, and in one type whatever is in them."""

import json
from typing import Any, Final, LiteralString
from uuid import UUID

import pytest

from shared.database.arrays import Array, BigintArray, ByteaArray, JsonArray, TextArray, UuidArray
from shared.database.connections import API, connect
from tests.ledger import Ledger

UNPACK: Final[LiteralString] = "SELECT pg_typeof(%(column)b)::text, to_json(unnest(%(column)b))::text"

SOME_ID: Final = UUID("00000000-0000-0000-0000-00000000abcd")


@pytest.mark.parametrize(
    ("array", "type_name", "values"),
    [
        (UuidArray, "uuid[]", [SOME_ID, None]),
        (BigintArray, "bigint[]", [0, -1, 2**63 - 1, -(2**63), None]),
        (BigintArray, "bigint[]", [1]),
        (TextArray, "text[]", ["", "NULL", '"', "{}", "\\", "দশ টাকা", None]),
        (TextArray, "text[]", [None, None]),
        (JsonArray, "json[]", [{"z": "\x7f", "a": "é"}, None]),
        (ByteaArray, "bytea[]", [b"", b"\x00\xff", None]),
    ],
)
def test_a_column_arrives_as_it_is_in_its_own_type(
    ledger: Ledger, array: type[Array], type_name: str, values: list[Any]
) -> None:
    with connect(ledger.database_url, application_name="test", timeouts=API) as connection:
        rows = connection.execute(UNPACK, {"column": array(values)}).fetchall()
    assert {found for found, _ in rows} == {type_name}
    shown = [value if not isinstance(value, UUID) else str(value) for value in values]
    shown = [f"\\x{value.hex()}" if isinstance(value, bytes) else value for value in shown]
    assert [None if text is None else json.loads(text) for _, text in rows] == shown


def test_a_column_of_nothing_is_one_too(ledger: Ledger) -> None:
    with connect(ledger.database_url, application_name="test", timeouts=API) as connection:
        assert connection.execute(UNPACK, {"column": TextArray([])}).fetchall() == []
