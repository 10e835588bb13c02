"""A key is remembered for five seconds and no longer: revoking it acts within that time."""

from api.known_keys import REMEMBERED_MAX, REMEMBERED_SECONDS, KnownKeys
from shared.database.api_keys import ApiKey
from shared.identifiers import new_id

KEY = ApiKey(owner_id=new_id(), scopes=[])


def test_is_known_for_a_while_and_then_not() -> None:
    known = KnownKeys()
    known.keep(b"hash", KEY, now_seconds=100)
    assert known.find(b"hash", now_seconds=100 + REMEMBERED_SECONDS - 0.1) is KEY
    assert known.find(b"hash", now_seconds=100 + REMEMBERED_SECONDS) is None


def test_is_not_known_as_another() -> None:
    known = KnownKeys()
    known.keep(b"hash", KEY, now_seconds=100)
    assert known.find(b"other", now_seconds=100) is None


def test_that_was_never_kept_is_not_known_however_young_the_process() -> None:
    assert KnownKeys().find(b"hash", now_seconds=0) is None


def test_so_many_and_no_more_are_known() -> None:
    known = KnownKeys()
    for number in range(REMEMBERED_MAX + 1):
        known.keep(number.to_bytes(4), KEY, now_seconds=100)
    assert known.find((0).to_bytes(4), now_seconds=100) is None
    assert known.find(REMEMBERED_MAX.to_bytes(4), now_seconds=100) is KEY
