"""Read `Prefer: wait` as RFC 7240 says: what is malformed or unknown is as if it were not there."""

import pytest

from api.entity_tags import is_known, is_old
from api.prefer import wait_seconds, waited
from api.transfers.stream import wants_stream


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("WAIT = 5", 5),
        ('wait="5"', 5),
        ("wait=007", 7),
        ("wait=0", 0),
        ("wait=25", 25),
        ("wait=26", 25),
        ("wait=" + "9" * 5_000, 25),
        ("respond-async, wait=5; strictly", 5),
        ('note="a, wait=9", wait=5', 5),
        ("wait=5, wait=9", 5),
    ],
)
def test_is_understood(prefer: str, seconds: int) -> None:
    assert wait_seconds(prefer) == seconds


@pytest.mark.parametrize(
    "prefer",
    [
        None,
        "",
        "wait",
        "wait=",
        'wait=""',
        'wait="5',
        "wait=-1",
        "wait=1.5",
        "wait=1 2",
        "wait=²",
        "wait=five",
        "waiting=5",
        "wait=five, wait=5",
        '"' * 1_000,
        '"\\' * 1_000,
    ],
)
def test_is_ignored(prefer: str | None) -> None:
    assert wait_seconds(prefer) is None


def test_is_said_to_be_applied_where_it_was() -> None:
    assert waited(7, was_refused=False) == {"Vary": "Prefer", "Preference-Applied": "wait=7"}
    assert waited(7, was_refused=True) == waited(None, was_refused=False) == {"Vary": "Prefer"}


@pytest.mark.parametrize("known", ['"2"', 'W/"2"', '"1", "2"', "*", ' W/"a,b" ,"2"'])
def test_an_entity_tag_is_known_weak_or_in_a_list(known: str) -> None:
    assert is_known('"2"', if_none_match=known)
    assert is_old('"2"', if_none_match=known)


@pytest.mark.parametrize("known", ['"1"', "2", '"22"', '"1,2"', "", '"*"', '"2'])
def test_any_other_is_news(known: str) -> None:
    assert not is_known('"2"', if_none_match=known)
    assert not is_old('"2"', if_none_match=known)


def test_who_names_nothing_waits_for_the_end() -> None:
    assert not is_known('"1"', if_none_match=None)
    assert is_old('"1"', if_none_match=None)


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "Text/Event-Stream; q=0.9",
        "application/json;q=0.5,text/event-stream",
        "text/event-stream,*/*",
    ],
)
def test_a_stream_is_wanted_where_it_is_named_first(accept: str) -> None:
    assert wants_stream(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/*",
        "application/json",
        "application/json, text/event-stream",
        "text/event-stream;q=0",
        "a;q=x,;",
    ],
)
def test_a_list_is_what_everybody_else_gets(accept: str) -> None:
    assert not wants_stream(accept)
