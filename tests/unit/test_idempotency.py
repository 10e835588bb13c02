"""Hold idempotency keys to one spelling each, and fingerprints to the fields that were sent."""

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import IdempotencyKeyInvalid, IdempotencyKeyMissing
from shared.domain.idempotency import fingerprint, parse_key

TEXT = st.text(st.characters(codec="utf-8"))
VISIBLE_ASCII = st.characters(min_codepoint=0x21, max_codepoint=0x7E)


class TestParseKey:
    @pytest.mark.parametrize(
        ("header", "key"),
        [
            ("k", "k"),
            ('"k"', "k"),
            ("  k\t", "k"),
            (' "k" ', "k"),
            (r'"a\"b"', 'a"b'),
            (r'"a\\b"', r"a\b"),
            (r"a\b", r"a\b"),
            ('"', '"'),
            ('a"b', 'a"b'),
            ('"a', '"a'),
            ("!~", "!~"),
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("x" * 255, "x" * 255),
            (f'"{"x" * 255}"', "x" * 255),
        ],
    )
    def test_reads_a_key_with_quotes_and_without(self, header: str, key: str) -> None:
        assert parse_key(header) == key

    @pytest.mark.parametrize("header", [None, "", " ", "\t", '""', ' "" '])
    def test_says_that_there_is_none(self, header: str | None) -> None:
        with pytest.raises(IdempotencyKeyMissing):
            parse_key(header)

    @pytest.mark.parametrize(
        "header", ["a b", '"a b"', "a\tb", "a\nb", "a\x00", "\x7f", "é", "চাবি", "x" * 256, f'"{"x" * 256}"', "a\u00a0b"]
    )
    def test_refuses_what_is_not_visible_ascii_of_some_length(self, header: str) -> None:
        with pytest.raises(IdempotencyKeyInvalid):
            parse_key(header)

    @given(key=st.text(VISIBLE_ASCII, min_size=1, max_size=100))
    def test_reads_every_key_from_its_quoted_spelling(self, key: str) -> None:
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        assert parse_key(f'"{escaped}"') == key


class TestFingerprint:
    def test_never_changes(self) -> None:
        """Keys never expire: a request that was sent years ago is still to be recognised."""
        fields = {"amount": 12_550, "currency": "BDT", "metadata": {"b": "২", "a": "1"}, "note": None}
        assert fingerprint(fields).hex() == "ec79e153f7e4ecc92c1b44f9616c30f453adfeaea6afff5d2dc03f60bfe060d4"

    @given(fields=st.dictionaries(TEXT, TEXT | st.integers(-(2**63), 2**63 - 1) | st.none()))
    def test_is_over_canonical_json_in_ascii(self, fields: dict[str, object]) -> None:
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        assert fingerprint(fields) == sha256(canonical.encode()).digest()

    def test_does_not_depend_on_order(self) -> None:
        assert fingerprint({"a": 1, "b": {"c": "2", "d": "3"}}) == fingerprint({"b": {"d": "3", "c": "2"}, "a": 1})

    @pytest.mark.parametrize(
        "other", [{"a": 2}, {"a": "1"}, {"a": True}, {"b": 1}, {}, {"a": 1, "b": None}, {"a": [1]}, {"a": 1.5}]
    )
    def test_tells_other_fields_apart(self, other: dict[str, object]) -> None:
        assert fingerprint({"a": 1}) != fingerprint(other)

    def test_does_not_let_text_pose_as_structure(self) -> None:
        assert fingerprint({"a": '1","b":"2'}) != fingerprint({"a": "1", "b": "2"})
