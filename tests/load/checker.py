"""Find what a ledger did wrong with the load: lost, doubled, out of order, wrongly refused or wrongly paid. Pure.

The expectation is that of one clerk who works alone, in order of acceptance, with the balances that there were before.
Nothing of the project's own deciding is used: a defect there must not excuse itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

NAMED_MAX = 5
"""Cases of a kind that are named; all are counted."""


class Sent(NamedTuple):
    """A request that was answered with a 202, and when. A replayed one appears once for each answer."""

    key: str
    transfer_id: str
    sent_seconds: float
    answered_seconds: float


class Row(NamedTuple):
    """A transfer as the ledger has it, with its endings (one each, if all is well): None or a failure's code."""

    transfer_id: str
    key: str | None
    source: str
    destination: str
    amount: int
    endings: tuple[str | None, ...]


class Entry(NamedTuple):
    """A movement on a wallet, as the ledger has it."""

    wallet: str
    transfer_id: str
    amount: int


class Balance(NamedTuple):
    """What a wallet held before, and below which it must not go (None: no limit)."""

    amount: int
    floor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is wrong, by kind: `kind: which`, cut off after a few, and the counts of all.

    Attributes:
        checked: Transfers that were looked at.
        refused: Of these, those that were refused, and rightly.
    """

    checked: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    wrongly_refused: int = 0
    wrongly_paid: int = 0
    violations: int = 0
    named: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        kinds = (self.lost, self.doubled, self.out_of_order, self.wrongly_refused, self.wrongly_paid, self.violations)
        return sum(kinds)

    def plus(self, other: "Faults") -> "Faults":
        """Add up two findings."""
        mine, theirs = asdict(self), asdict(other)
        return Faults(**{name: mine[name] + theirs[name] for name in mine})


def check(
    rows: Sequence[Row],
    *,
    entries: Iterable[Entry],
    before: Mapping[str, Balance],
    sent: Sequence[Sent],
    violations: Sequence[str] = (),
) -> Faults:
    """Compare what the ledger did with what it should have done.

    Args:
        rows: Every transfer since `before`, in order of acceptance.
        entries: Their entries, those of one wallet in its own order.
        before: What the wallets held.
        sent: What was answered with a 202; empty where nothing was sent over HTTP.
        violations: What the audit found.
    """
    entries = tuple(entries)
    found = {
        "lost": [*_lost(rows, sent=sent)],
        "doubled": [*_doubled(rows, entries=entries, sent=sent)],
        "out_of_order": [*_out_of_order(rows, entries=entries), *_overtaken(rows, sent=sent)],
        **_misjudged(rows, before=before),
        "violations": list(violations),
    }
    named = tuple(f"{kind}: {case}" for kind, cases in found.items() for case in cases[:NAMED_MAX])
    refused = sum(any(row.endings) for row in rows)
    counts = {kind: len(cases) for kind, cases in found.items()}
    return Faults(checked=len(rows), refused=refused, named=named, **counts)


def _lost(rows: Sequence[Row], *, sent: Sequence[Sent]) -> Iterable[str]:
    """Find what was answered with a 202 and is not there under its key, and what has not ended."""
    keys = {row.transfer_id: row.key for row in rows}
    for answered in sent:
        if answered.transfer_id not in keys:
            yield f"{answered.transfer_id} was accepted and is not there"
        elif keys[answered.transfer_id] not in {answered.key, None}:
            yield f"{answered.transfer_id} is there under another key than {answered.key}"
    for row in rows:
        if not row.endings:
            yield f"{row.transfer_id} has not ended"


def _doubled(rows: Sequence[Row], *, entries: Sequence[Entry], sent: Sequence[Sent]) -> Iterable[str]:
    """Find what ended twice, moved money twice, or was accepted twice under one key."""
    yield from (f"{row.transfer_id} has ended {len(row.endings)} times" for row in rows if len(row.endings) > 1)
    moved = Counter((entry.transfer_id, entry.wallet) for entry in entries)
    for (transfer_id, wallet), times in moved.items():
        if times > 1:
            yield f"{transfer_id} has moved money on {wallet} {times} times"
    ids: dict[str, set[str]] = defaultdict(set)
    for key, transfer_id in [*((r.key, r.transfer_id) for r in rows), *((s.key, s.transfer_id) for s in sent)]:
        # The items of a batch have no key of their own.
        if key is not None:
            ids[key].add(transfer_id)
    for key, named in ids.items():
        if len(named) > 1:
            yield f"{key} is the key of {len(named)} transfers"


def _out_of_order(rows: Sequence[Row], *, entries: Sequence[Entry]) -> Iterable[str]:
    """Find debits of a wallet that were not applied in the order they were accepted."""
    places = {row.transfer_id: place for place, row in enumerate(rows)}
    last: dict[str, int] = {}
    for entry in entries:
        if entry.amount < 0 and (place := places.get(entry.transfer_id)) is not None:
            if place < last.get(entry.wallet, -1):
                yield f"{entry.transfer_id} left {entry.wallet} after one that was accepted later"
            last[entry.wallet] = place


def _overtaken(rows: Sequence[Row], *, sent: Sequence[Sent]) -> Iterable[str]:
    """Find what was sent after something had been answered, and was yet accepted before it."""
    asked_seconds: dict[str, float] = defaultdict(lambda: float("inf"))
    told_seconds: dict[str, float] = defaultdict(lambda: float("inf"))
    for answered in sent:
        # One key may have been sent several times: which of them was accepted is not known.
        transfer_id = answered.transfer_id
        asked_seconds[transfer_id] = min(asked_seconds[transfer_id], answered.sent_seconds)
        told_seconds[transfer_id] = min(told_seconds[transfer_id], answered.answered_seconds)
    earliest_told_seconds = float("inf")
    for row in reversed(rows):
        if row.transfer_id in asked_seconds:
            if earliest_told_seconds < asked_seconds[row.transfer_id]:
                yield f"{row.transfer_id} has come after what was sent only when it had been answered"
            earliest_told_seconds = min(earliest_told_seconds, told_seconds[row.transfer_id])


def _misjudged(rows: Sequence[Row], *, before: Mapping[str, Balance]) -> dict[str, list[str]]:
    """Find what was refused though there were funds, and what was paid though there were none."""
    holds = {wallet: balance.amount for wallet, balance in before.items()}
    refused: list[str] = []
    paid: list[str] = []
    for row in rows:
        floor = before[row.source].floor
        covered = floor is None or holds[row.source] - row.amount >= floor
        if covered:
            holds[row.source] -= row.amount
            holds[row.destination] += row.amount
        if row.endings and covered != (row.endings[0] is None):
            which = f"{row.transfer_id} of {row.amount} ended with {row.endings[0] or 'success'}"
            (refused if covered else paid).append(which)
    return {"wrongly_refused": refused, "wrongly_paid": paid}
