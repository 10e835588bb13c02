"""The demo finds fault with whatever is not as promised, and makes up no figure."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hishab.answers import Audit, CurrencySum, Event, Sums, Transfer, Wallet
from hishab.client import Client
from hishab.demo.evidence import Evidence, expected_balances, findings, outage, owed_events
from hishab.demo.mailbox import Mailbox
from hishab.demo.payments import NAMES, PAYMENTS, TOO_MUCH_MINOR, Payment, sendings
from hishab.demo.people import Person, webhook_path
from hishab.demo.sending import Kill, Sent
from hishab.demo.story import money
from hishab.listen import Heard

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GRANT_MINOR = 1_000
PAYMENT = Payment(payer=0, payee=1, amount_minor=300)
TOO_MUCH = Payment(payer=1, payee=0, amount_minor=TOO_MUCH_MINOR)
KILL = Kill(pid=7, at=NOON, accepted_before=1)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def transfer(
    transfer_id: str, payment: Payment, *, status: str, accepted: float = -1.0, ended: float = 2.0
) -> Transfer:
    return Transfer.model_validate(
        {
            "id": transfer_id,
            "status": status,
            "amount": payment.amount_minor,
            "currency": "BDT",
            "source_wallet_id": str(payment.payer),
            "destination_wallet_id": str(payment.payee),
            "failure": {"code": "insufficient_funds"} if status == "failed" else None,
            "created_at": after(accepted),
            "completed_at": after(ended),
        }
    )


def heard(path: str, told: Transfer) -> Heard:
    event = Event(id=f"of {told.id}", type=f"transfer.{told.status}", data=told.model_dump(mode="json", by_alias=True))
    return Heard(path=path, event=event, trouble="", status=204)


def audited(*, holds: bool = True, transfers: int = 4, held: int = 2 * GRANT_MINOR) -> Audit:
    taka = CurrencySum(currency="BDT", entries=6, issued=2 * GRANT_MINOR, held=held)
    return Audit(id="a", status="finished", holds=holds, summed=Sums(transfers=transfers, currencies=[taka]))


def wallets(*balances_minor: int) -> dict[int, Wallet]:
    return {
        number: Wallet(id=str(number), currency="BDT", balance=balance_minor)
        for number, balance_minor in enumerate(balances_minor)
    }


@pytest.fixture
def seen() -> Evidence:
    """Two people, a payment and one that was too much: all as promised."""
    people = [
        Person(
            number=number,
            name=NAMES[number],
            wallet_id=str(number),
            granted_minor=GRANT_MINOR,
            client=Client("http://x"),
        )
        for number in range(2)
    ]
    ended = {
        "one": transfer("one", PAYMENT, status="succeeded"),
        "two": transfer("two", TOO_MUCH, status="failed", accepted=1.0, ended=5.0),
    }
    sent = Sent(payments={"one": PAYMENT, "two": TOO_MUCH}, again=1, recognised=1, kill=KILL)
    mailbox = Mailbox()
    for number, transfer_id in [(0, "one"), (1, "one"), (1, "two")]:
        mailbox.put(heard(webhook_path(number), ended[transfer_id]))
    return Evidence(
        people=people,
        sent=sent,
        ended=ended,
        events=mailbox.events(owed_events(ended, sent=sent)),
        outage=outage(KILL, successor_pid=8, transfers=list(ended.values())),
        wallets=wallets(700, 1_300),
        statement=[],
        audit=audited(),
    )


def broken(seen: Evidence) -> list[int]:
    return [number for number, finding in enumerate(findings(seen)) if not finding.holds]


class TestFindings:
    def test_find_nothing_where_all_is_as_promised(self, seen: Evidence) -> None:
        assert broken(seen) == []

    def test_find_a_transfer_that_has_not_ended(self, seen: Evidence) -> None:
        assert 0 in broken(replace(seen, ended={"one": seen.ended["one"]}))

    def test_find_a_transfer_that_was_refused_without_reason(self, seen: Evidence) -> None:
        ended = {**seen.ended, "one": transfer("one", PAYMENT, status="failed")}
        assert 0 in broken(replace(seen, ended=ended))

    def test_find_what_was_not_recognised(self, seen: Evidence) -> None:
        assert broken(replace(seen, sent=replace(seen.sent, recognised=0))) == [1]

    def test_find_a_transfer_that_nobody_sent(self, seen: Evidence) -> None:
        assert broken(replace(seen, audit=audited(transfers=5))) == [1]

    @pytest.mark.parametrize("trouble", ["missing", "unowed", "untrusted"])
    def test_find_an_event_that_is_not_as_owed(self, seen: Evidence, trouble: str) -> None:
        assert broken(replace(seen, events=replace(seen.events, **{trouble: 1}))) == [2]

    def test_find_a_balance_that_is_another(self, seen: Evidence) -> None:
        assert broken(replace(seen, wallets=wallets(701, 1_299))) == [3]

    def test_find_a_ledger_that_does_not_hold(self, seen: Evidence) -> None:
        assert broken(replace(seen, audit=audited(holds=False))) == [4]
        assert broken(replace(seen, audit=audited(held=1))) == [4]


class TestMailbox:
    def test_counts_what_came_twice_once(self, seen: Evidence) -> None:
        mailbox = Mailbox()
        for _ in range(2):
            mailbox.put(heard(webhook_path(0), seen.ended["one"]))
        mailbox.put(Heard(path=webhook_path(0), event=None, trouble="not signed", status=400))
        events = mailbox.events(owed_events(seen.ended, sent=seen.sent))
        assert (events.owed, events.verified, events.missing, events.unowed) == (3, 1, 2, 0)
        assert (events.repeated, events.untrusted) == (1, 1)

    def test_finds_what_nobody_was_owed(self, seen: Evidence) -> None:
        mailbox = Mailbox()
        mailbox.put(heard(webhook_path(0), seen.ended["two"]))
        assert mailbox.events(owed_events(seen.ended, sent=seen.sent)).unowed == 1


def test_an_outage_is_measured_by_the_times_of_the_transfers(seen: Evidence) -> None:
    assert (seen.outage.delay_seconds, seen.outage.accepted_meanwhile, seen.outage.wait_seconds_max) == (2.0, 1, 4.0)


def test_balances_follow_from_what_succeeded(seen: Evidence) -> None:
    assert expected_balances(seen.people, sent=seen.sent, ended=seen.ended) == {0: 700, 1: 1_300}


@pytest.mark.parametrize("seed", range(5))
def test_nobody_runs_out_but_by_what_is_too_much(seed: int) -> None:
    made = [payment for sending in sendings(random.Random(seed)) for payment in sending.payments]
    assert len(made) == PAYMENTS
    for number in range(len(NAMES)):
        spent = sum(one.amount_minor for one in made if one.payer == number and not one.is_too_much)
        assert spent < 500_000
    assert len({sending.key for sending in sendings(random.Random(seed))}) == len(sendings(random.Random(seed)))


@pytest.mark.parametrize(("amount_minor", "text"), [(0, "0.00"), (1_234_567, "12,345.67"), (-50, "-0.50")])
def test_money_is_written_for_people(amount_minor: int, text: str) -> None:
    assert money(amount_minor) == text
