"""Recognise a request that was made before. Source: IETF draft httpapi-idempotency-key-header."""

import hashlib
import json
import re
from collections.abc import Mapping

import orjson

from shared.domain.errors import IdempotencyKeyInvalid, IdempotencyKeyMissing

KEY_LENGTH_MAX = 255

_VISIBLE_ASCII = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


def parse_key(header: str | None) -> str:
    """Read an `Idempotency-Key` header; `"k"` (a structured-field string) and `k` are the same key.

    Raises:
        IdempotencyKeyMissing: There is no header, or nothing in it.
        IdempotencyKeyInvalid: It is not 1 to 255 visible ASCII characters.
    """
    if header is None or header.strip() in {"", '""'}:
        raise IdempotencyKeyMissing
    key = header.strip()
    if quoted := _QUOTED.fullmatch(key):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if not _VISIBLE_ASCII.fullmatch(key):
        raise IdempotencyKeyInvalid
    return key


def fingerprint(fields: Mapping[str, object]) -> bytes:
    """Hash the fields that the client sent: SHA-256 over canonical JSON, so order and spacing do not matter.

    Args:
        fields: As they came, before any default is filled in: a default added later must not change the hash. Beside
            what JSON has there may be ids, which are spelt as 8-4-4-4-12 hex digits.
    """
    canonical = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    if not canonical.isascii():
        # Stored fingerprints escape what is not ASCII, which orjson does not.
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=str).encode()
    return hashlib.sha256(canonical).digest()
