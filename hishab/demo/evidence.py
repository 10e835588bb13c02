"""Judge what was seen in the demo. Pure: each finding is a sentence of figures, and whether it is as promised."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hishab.answers import Audit, Entry, Transfer, Wallet
from hishab.demo.mailbox import Events, Told
from hishab.demo.payments import CURRENCY
from hishab.demo.people import Person, webhook_path
from hishab.demo.sending import Kill, Sent
from hishab.demo.story import money

SUCCEEDED = "succeeded"
INSUFFICIENT_FUNDS = "insufficient_funds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What the kill did, in the figures of this run.

    Attributes:
        delay_seconds: From the kill to the end of the next transfer.
        accepted_meanwhile: Transfers that were accepted in that time.
        wait_seconds_max: The longest that any transfer took from its acceptance to its end.
    """

    killed_pid: int
    successor_pid: int
    after_transfers: int
    delay_seconds: float
    accepted_meanwhile: int
    wait_seconds_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen once everything had ended."""

    people: Sequence[Person]
    sent: Sent
    ended: Mapping[str, Transfer]
    events: Events
    outage: Outage
    wallets: Mapping[int, Wallet]
    statement: Sequence[Entry]
    audit: Audit

    @property
    def succeeded(self) -> int:
        """Return how many transfers moved money."""
        return sum(transfer.status == SUCCEEDED for transfer in self.ended.values())

    @property
    def refused(self) -> int:
        """Return how many moved none."""
        return len(self.ended) - self.succeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One promise, in the figures of this run."""

    lines: Sequence[str]
    holds: bool


def owed_events(ended: Mapping[str, Transfer], *, sent: Sent) -> set[Told]:
    """Return what is to be told: to the payer of every transfer, and to the payee of each that succeeded."""
    owed: set[Told] = set()
    for transfer in ended.values():
        payment = sent.payments[transfer.id]
        told = [payment.payer, payment.payee] if transfer.status == SUCCEEDED else [payment.payer]
        owed |= {(webhook_path(number), transfer.id, f"transfer.{transfer.status}") for number in told}
    return owed


def outage(kill: Kill, *, successor_pid: int, transfers: Sequence[Transfer]) -> Outage:
    """Measure what a kill delayed, by the times that the server gave the transfers."""
    times = [(one.created_at, one.completed_at) for one in transfers]
    spans = [(accepted, ended) for accepted, ended in times if accepted is not None and ended is not None]
    next_at = min((ended for _, ended in spans if ended > kill.at), default=kill.at)
    return Outage(
        killed_pid=kill.pid,
        successor_pid=successor_pid,
        after_transfers=kill.accepted_before,
        delay_seconds=_seconds(kill.at, next_at),
        accepted_meanwhile=sum(kill.at < accepted <= next_at for accepted, _ in spans),
        wait_seconds_max=max((_seconds(accepted, ended) for accepted, ended in spans), default=0.0),
    )


def expected_balances(people: Sequence[Person], *, sent: Sent, ended: Mapping[str, Transfer]) -> dict[int, int]:
    """Return what each should hold: the grant, less what was sent, and what was received."""
    balances = Counter({person.number: person.granted_minor for person in people})
    for transfer in ended.values():
        payment = sent.payments[transfer.id]
        if transfer.status == SUCCEEDED:
            balances[payment.payer] -= payment.amount_minor
            balances[payment.payee] += payment.amount_minor
    return dict(balances)


def findings(seen: Evidence) -> list[Finding]:
    """Return what has to hold, and whether it does."""
    return [_all_ended(seen), _none_twice(seen), _all_told(seen), _all_balanced(seen), _audited(seen)]


def _all_ended(seen: Evidence) -> Finding:
    expected = {
        transfer_id: INSUFFICIENT_FUNDS if payment.is_too_much else ""
        for transfer_id, payment in seen.sent.payments.items()
    }
    found = {transfer_id: transfer.failure_code for transfer_id, transfer in seen.ended.items()}
    lines = (
        f"{len(seen.sent.payments):,} transfers were accepted, and {len(seen.ended):,} have ended:",
        f"{seen.succeeded:,} succeeded, {seen.refused:,} were refused for lack of funds.",
    )
    return Finding(lines=lines, holds=found == expected)


def _none_twice(seen: Evidence) -> Finding:
    counted = seen.audit.summed.transfers if seen.audit.summed else 0
    expected = len(seen.sent.payments) + len(seen.people)
    lines = (
        f"{seen.sent.again:,} were sent twice, under the same key; {seen.sent.recognised:,} were recognised:",
        f"the ledger has {counted:,} transfers, these and {len(seen.people)} opening grants.",
    )
    return Finding(lines=lines, holds=seen.sent.again == seen.sent.recognised and counted == expected)


def _all_told(seen: Evidence) -> Finding:
    events = seen.events
    lines = (
        f"{events.owed:,} events were owed, {events.verified:,} came, each with a good signature:",
        f"{events.missing} missing, {events.repeated} twice, {events.unowed} not owed, {events.untrusted} unsigned.",
    )
    return Finding(lines=lines, holds=not (events.missing or events.unowed or events.untrusted))


def _all_balanced(seen: Evidence) -> Finding:
    expected = expected_balances(seen.people, sent=seen.sent, ended=seen.ended)
    right = sum(seen.wallets[number].balance_minor == balance for number, balance in expected.items())
    line = f"{right} of {len(expected)} balances are what this demo reckons by itself."
    return Finding(lines=[line], holds=right == len(expected))


def _audited(seen: Evidence) -> Finding:
    sums = seen.audit.summed
    taka = next((row for row in sums.currencies if row.currency == CURRENCY), None) if sums else None
    issued, held = (taka.issued_minor or 0, taka.held_minor or 0) if taka else (0, 0)
    lines = (
        f"The audit of all {taka.entries if taka else 0:,} entries found {len(seen.audit.violations)} violations:",
        f"{money(issued)} taka were issued, {money(held)} taka are held.",
    )
    granted = sum(person.granted_minor for person in seen.people)
    return Finding(lines=lines, holds=seen.audit.holds is True and issued == held == granted)


def _seconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()
