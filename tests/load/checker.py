"""Find what a ledger did wrong with the load: lost, doubled, out of order, wrongly refused or wrongly paid. Pure.

The expectation is that of one clerk who works alone, with the balances that there were before, in the order in which
transfers were applied; and that order has to be the one in which they were accepted. Requests under way at the same
time have no mutual order: where it is known when they were sent and answered, only what was sent after an answer has to
come later, and the items of a batch in the order of its list.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import NamedTuple

from tests.clerk import Balance, Clerk

NAMED_MAX = 5
"""Cases of a kind that are named; all are counted."""


class Sent(NamedTuple):
    """A request that was answered with a 202, and when. A replayed one appears once for each answer."""

    key: str
    transfer_id: str
    sent_seconds: float
    answered_seconds: float


class Row(NamedTuple):
    """A transfer as the ledger has it, with its endings (one each, if all is well): None or a failure's code.

    Attributes:
        turn: Its place in the order in which transfers ended.
    """

    transfer_id: str
    key: str | None
    source: str
    destination: str
    amount: int
    endings: tuple[str | None, ...]
    turn: int


class Entry(NamedTuple):
    """A movement on a wallet, as the ledger has it."""

    wallet: str
    transfer_id: str
    amount: int


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
    unprocessable: Container[str] = (),
) -> Faults:
    """Compare what the ledger did with what it should have done.

    Args:
        rows: Every transfer since `before`, in order of acceptance.
        entries: Their entries, those of one wallet in its own order.
        before: What the wallets held.
        sent: What was answered with a 202; empty where one connection accepted everything in order of `rows`.
        violations: What the audit found.
        unprocessable: Transfers that were made so that they may end as that, without money moving.
    """
    entries = tuple(entries)
    found = {
        "lost": [*_lost(rows, sent=sent)],
        "doubled": [*_doubled(rows, entries=entries, sent=sent)],
        "out_of_order": [*_out_of_turn(rows, entries=entries), *_out_of_order(rows, sent=sent)],
        **_misjudged(sorted(rows, key=lambda row: row.turn), before=before, unprocessable=unprocessable),
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


def _out_of_turn(rows: Sequence[Row], *, entries: Sequence[Entry]) -> Iterable[str]:
    """Find debits of a wallet whose entries stand in another order than their endings."""
    turns = {row.transfer_id: row.turn for row in rows}
    last: dict[str, int] = {}
    for entry in entries:
        if entry.amount < 0 and (turn := turns.get(entry.transfer_id)) is not None:
            if turn < last.get(entry.wallet, -1):
                yield f"{entry.transfer_id} left {entry.wallet} after one that ended later"
            last[entry.wallet] = turn


def _out_of_order(rows: Sequence[Row], *, sent: Sequence[Sent]) -> Iterable[str]:
    """Find transfers that were accepted, or applied to their wallet, before one that has to be before them."""
    accepted = [row.transfer_id for row in rows]
    applied: dict[str, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.turn):
        applied[row.source].append(row.transfer_id)
    if not sent:
        places = {transfer_id: place for place, transfer_id in enumerate(accepted)}
        for order in applied.values():
            yield from (later for earlier, later in pairwise(order) if places[later] < places[earlier])
        return
    under_way = _under_way(sent)
    listed = {transfer_id: place for place, transfer_id in enumerate(under_way)}
    for order in (accepted, *applied.values()):
        known = [transfer_id for transfer_id in order if transfer_id in under_way]
        yield from _overtaking(known, under_way=under_way)
        yield from _within_batches(known, under_way=under_way, listed=listed)


def _under_way(sent: Sequence[Sent]) -> Mapping[str, tuple[float, float]]:
    """Say from when to when each was under way; of a key sent several times, nobody knows which request made it."""
    found: dict[str, tuple[float, float]] = {}
    for one in sent:
        asked_seconds, told_seconds = found.get(one.transfer_id, (one.sent_seconds, one.answered_seconds))
        found[one.transfer_id] = min(asked_seconds, one.sent_seconds), min(told_seconds, one.answered_seconds)
    return found


def _overtaking(order: Sequence[str], *, under_way: Mapping[str, tuple[float, float]]) -> Iterable[str]:
    earliest_told_seconds = float("inf")
    for transfer_id in reversed(order):
        asked_seconds, told_seconds = under_way[transfer_id]
        if earliest_told_seconds < asked_seconds:
            yield f"{transfer_id} is before one that had been answered when it was sent"
        earliest_told_seconds = min(earliest_told_seconds, told_seconds)


def _within_batches(
    order: Sequence[str], *, under_way: Mapping[str, tuple[float, float]], listed: Mapping[str, int]
) -> Iterable[str]:
    """Find items of a batch that stand in another order than in its list. No two requests share both their times."""
    last: dict[tuple[float, float], int] = {}
    for transfer_id in order:
        request, place = under_way[transfer_id], listed[transfer_id]
        if place < last.get(request, -1):
            yield f"{transfer_id} is after one that stands later in its batch"
        last[request] = place


def _misjudged(
    rows: Sequence[Row], *, before: Mapping[str, Balance], unprocessable: Container[str]
) -> dict[str, list[str]]:
    """Find what was refused though there were funds, and what was paid though there were none."""
    clerk = Clerk(opening=before)
    refused: list[str] = []
    paid: list[str] = []
    for row in rows:
        if row.transfer_id in unprocessable and row.endings[:1] == ("unprocessable",):
            continue
        covered = clerk.apply(row.source, row.destination, row.amount) is None
        if row.endings and covered != (row.endings[0] is None):
            which = f"{row.transfer_id} of {row.amount} ended with {row.endings[0] or 'success'}"
            (refused if covered else paid).append(which)
    return {"wrongly_refused": refused, "wrongly_paid": paid}
