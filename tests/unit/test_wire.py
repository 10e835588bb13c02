"""Hold the wire to its bytes: an acceptance is a record, the same for ever; a reading tells each owner their part."""

import json
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.domain import wire
from shared.domain.transfer import FAILURE_MESSAGES, Ending, FailureCode, Transfer

PAYER, PAYEE = UUID("0198c0de-0000-7000-8000-000000000001"), UUID("0198c0de-0000-7000-8000-000000000002")

TRANSFER = Transfer(
    id=UUID("0198c0de-1111-7111-8111-111111111111"),
    owner_id=PAYER,
    destination_owner_id=PAYEE,
    source_wallet_id=UUID("0198c0de-2222-7222-8222-222222222222"),
    destination_wallet_id=UUID("0198c0de-3333-7333-8333-333333333333"),
    amount_minor=12_550,
    currency="BDT",
    reference="rent",
    note="ভাড়া",
    metadata={"b": "2", "a": '"1"'},
    position=42,
    created_at=datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
)
ENDED_AT = datetime(2026, 2, 3, 4, 5, 7, tzinfo=UTC)

# One string, on purpose: this is what was answered, and is answered again at every replay, years later too.
GOLDEN_ACCEPTANCE = (
    '{"id":"0198c0de-1111-7111-8111-111111111111","status":"queued","version":1,"amount":12550,"currency":"BDT",'
    '"source_wallet_id":"0198c0de-2222-7222-8222-222222222222",'
    '"destination_wallet_id":"0198c0de-3333-7333-8333-333333333333",'
    '"reference":"rent","note":"ভাড়া","metadata":{"b":"2","a":"\\"1\\""},"failure":null,'
    '"created_at":"2026-02-03T04:05:06.000007Z","updated_at":"2026-02-03T04:05:06.000007Z","completed_at":null,'
    '"links":{"self":"/v1/transfers/0198c0de-1111-7111-8111-111111111111",'
    '"events":"/v1/transfers/0198c0de-1111-7111-8111-111111111111/events"}}'
)


class TestAcceptance:
    def test_has_these_bytes_for_ever(self) -> None:
        assert wire.to_json(wire.acceptance(TRANSFER)).decode() == GOLDEN_ACCEPTANCE

    def test_spells_what_was_not_given_as_null(self) -> None:
        bare = wire.acceptance(TRANSFER._replace(reference=None, note=None, metadata=None))
        assert (bare["reference"], bare["note"], bare["metadata"]) == (None, None, None)
        assert bare.keys() == json.loads(GOLDEN_ACCEPTANCE).keys()


class TestReading:
    def test_of_a_queued_transfer_is_what_its_acceptance_said(self) -> None:
        reading = wire.reading(TRANSFER, ending=None, viewer_id=PAYER)
        assert wire.to_json(reading) == wire.to_json(wire.acceptance(TRANSFER))

    def test_tells_when_it_succeeded(self) -> None:
        reading = wire.reading(TRANSFER, ending=Ending(failure_code=None, at=ENDED_AT), viewer_id=PAYER)
        changed = {
            "status": "succeeded",
            "version": 2,
            "updated_at": "2026-02-03T04:05:07.000000Z",
            "completed_at": "2026-02-03T04:05:07.000000Z",
        }
        assert json.loads(wire.to_json(reading)) == {**json.loads(GOLDEN_ACCEPTANCE), **changed}

    def test_tells_why_it_failed(self) -> None:
        for code in FailureCode:
            reading = wire.reading(TRANSFER, ending=Ending(failure_code=code, at=ENDED_AT), viewer_id=PAYER)
            assert (reading["status"], reading["version"]) == ("failed", 2)
            assert reading["failure"] == {"code": code.value, "message": FAILURE_MESSAGES[code]}

    def test_keeps_metadata_from_the_payee(self) -> None:
        ending = Ending(failure_code=None, at=ENDED_AT)
        payers = wire.reading(TRANSFER, ending=ending, viewer_id=PAYER)
        assert wire.reading(TRANSFER, ending=ending, viewer_id=PAYEE) == {**payers, "metadata": None}


class TestJson:
    @given(text=st.text(st.characters(codec="utf-8")), number=st.integers(min_value=-(2**63), max_value=2**63 - 1))
    def test_is_spelt_as_records_of_years_ago_were(self, text: str, number: int) -> None:
        """Replays are made from rows: a library that spells anything differently would change what was answered."""
        value = {"text": text, text: number, "nothing": None, "flags": [True, False]}
        spelt = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        assert wire.to_json(value) == spelt.encode()


class TestMoment:
    def test_is_utc_with_six_digits(self) -> None:
        assert wire.moment(datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == "2026-12-31T23:59:59.999999Z"
        assert wire.moment(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
