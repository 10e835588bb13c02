"""Judge a chaos run by the invariants I1 to I11 of faults.md: what clients saw against what the ledger did. Pure.

The ledger's own order is replayed by `tests/load/checker.py`; here stands what clients could tell besides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos import judge_reads, judge_webhooks
from tests.chaos.evidence import Evidence
from tests.chaos.history import SUBMITTING, Kind, Operation, Outcome
from tests.load.checker import Faults, Sent, check

NAMED_MAX = 5
AUDITED: Mapping[str, str] = {
    "transfers_are_whole": "I3",
    "entries_of_no_transfer": "I3",
    "entries_follow": "I4",
    "wallets_keep_their_floor": "I4",
    "wallets_equal_last_entry": "I1",
    "currencies_sum_to_zero": "I1",
}
MAY_BE_REFUSED = frozenset({409, 429})
"""A valid request: another one with its key is under way, or there were too many."""

AWAY_NOTICED_SECONDS = 4.0
"""A look at PostgreSQL may take two seconds; the rest is for a machine that is busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one invariant came to."""

    name: str
    what: str
    checked: int
    violations: int
    named: Sequence[str]


def judge(evidence: Evidence) -> list[Verdict]:
    """Judge everything."""
    found = check(
        evidence.rows,
        entries=evidence.entries,
        before=evidence.before,
        sent=sent_in(evidence),
        unprocessable=evidence.poisoned,
    )
    audited = _by_invariant(evidence)
    accepted = [operation for operation in evidence.operations if _is_accepted(operation)]
    mismatches = [operation for operation in evidence.operations if operation.kind is Kind.MISMATCH]
    return [
        _verdict("I1", "money is conserved", evidence.looks, [*evidence.sums, *audited["I1"]]),
        _verdict(
            "I2",
            "nothing accepted is lost, and all has ended",
            len(accepted),
            [
                *_named(found, "lost"),
                *_not_as_asked(evidence),
                *(f"{key} was never accepted" for key in evidence.unsettled),
            ],
            more=found.lost,
        ),
        _verdict(
            "I3",
            "nothing happens twice",
            len(evidence.rows),
            [*_named(found, "doubled"), *audited["I3"]],
            more=found.doubled,
        ),
        _verdict("I4", "a wallet's entries follow each other", len(evidence.entries), audited["I4"]),
        _verdict(
            "I5",
            "replayed one by one, everything ends the same",
            len(evidence.rows),
            [*_named(found, "wrongly_refused"), *_named(found, "wrongly_paid"), *_wrongly_ended(evidence)],
            more=found.wrongly_refused + found.wrongly_paid,
        ),
        _verdict(
            "I6",
            "what was answered before is applied before",
            len(accepted),
            _named(found, "out_of_order"),
            more=found.out_of_order,
        ),
        _verdict(
            "I7",
            "one key, one effect, one answer",
            len(accepted) + len(mismatches),
            [*_answers(evidence), *_mismatched(mismatches)],
        ),
        _verdict("I8", "nothing that was read goes back", *judge_reads.judge(evidence)),
        _verdict("I9", "every ending is told, signed, under one id", *judge_webhooks.judge(evidence)),
        _verdict("I10", "an answer is honest", len(evidence.operations), [*_honest(evidence), *_ready(evidence)]),
        _verdict("I11", "all comes back to where it was", evidence.bounds_checked, evidence.unbounded),
    ]


def sent_in(evidence: Evidence) -> list[Sent]:
    """Say what was accepted, and from when to when that was under way: from the first attempt with its key."""
    began: dict[str, float] = {}
    for operation in evidence.operations:
        if operation.kind in SUBMITTING:
            began.setdefault(operation.about, operation.invoked_seconds)
    return [
        Sent(key, transfer_id, began[operation.about], operation.answered_seconds or 0.0)
        for operation in evidence.operations
        if _is_accepted(operation)
        for key, transfer_id in _accepted(operation)
    ]


def _verdict(name: str, what: str, checked: int, wrong: Iterable[str], *, more: int = 0) -> Verdict:
    """Put a verdict together; `more` is how many there are of a kind of which only some are named."""
    wrong = list(wrong)
    return Verdict(name=name, what=what, checked=checked, violations=max(len(wrong), more), named=wrong[:NAMED_MAX])


def _named(found: Faults, kind: str) -> list[str]:
    return [case.removeprefix(f"{kind}: ") for case in found.named if case.startswith(f"{kind}: ")]


def _by_invariant(evidence: Evidence) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {"I1": [], "I3": [], "I4": []}
    for name, case in evidence.audit:
        found[AUDITED[name]].append(case)
    return found


def _is_accepted(operation: Operation) -> bool:
    return operation.kind in SUBMITTING and operation.outcome is Outcome.OK


def _accepted(operation: Operation) -> list[tuple[str, str]]:
    """Name what was accepted; the items of a batch have keys of our own making."""
    told = operation.told
    if "transfer_ids" in told:
        return [(f"{operation.about}#{place}", id_) for place, id_ in enumerate(told["transfer_ids"])]
    return [(operation.about, told["id"])]


def _not_as_asked(evidence: Evidence) -> Iterable[str]:
    """Find what is in the ledger otherwise than it was asked for, or that nobody asked for."""
    asked = {operation.about: operation for operation in evidence.operations if operation.kind in SUBMITTING}
    rows = {row.transfer_id: row for row in evidence.rows}
    wanted = {row.transfer_id: asked.get(row.key) for row in evidence.rows if row.key is not None}
    shapes = {id_: (operation, operation.asked or {}) for id_, operation in wanted.items() if operation}
    for key, ids in evidence.batches.items():
        items: Sequence[Mapping[str, Any]] = (asked[key].asked or {})["transfers"] if key in asked else ()
        if len(items) != len(ids):
            yield f"batch {key} has {len(ids)} transfers, and {len(items)} were asked for"
        shapes |= {id_: (asked[key], item) for id_, item in zip(ids, items, strict=False)}
    for transfer_id, row in rows.items():
        if transfer_id not in shapes:
            yield f"{transfer_id} is there, and nobody asked for it"
            continue
        operation, shape = shapes[transfer_id]
        meant = (evidence.wallets[operation.person], shape["destination_wallet_id"], shape["amount"])
        if meant != (row.source, row.destination, row.amount):
            yield f"{transfer_id} is not what was asked for with {operation.about}"


def _wrongly_ended(evidence: Evidence) -> Iterable[str]:
    """Find valid requests that were refused, and transfers that ended for a reason that cannot be."""
    for operation in evidence.operations:
        is_refused = operation.status is not None and 400 <= operation.status < 500
        if operation.kind in SUBMITTING and is_refused and operation.status not in MAY_BE_REFUSED:
            yield f"{operation.about} is valid, and was refused with {operation.status} {operation.code}"
    for row in evidence.rows:
        if row.endings[:1] == ("unprocessable",) and row.transfer_id not in evidence.poisoned:
            yield f"{row.transfer_id} ended as unprocessable"


def _answers(evidence: Evidence) -> Iterable[str]:
    """Find keys that were answered in several ways."""
    bodies: dict[str, set[str]] = {}
    ids: dict[str, set[str]] = {}
    for operation in evidence.operations:
        if _is_accepted(operation):
            ids.setdefault(operation.about, set()).add(operation.told["id"])
            if operation.status == 202:
                bodies.setdefault(operation.about, set()).add(operation.body or "")
    yield from (f"{key} was answered with {len(told)} ids" for key, told in ids.items() if len(told) > 1)
    yield from (f"{key} was answered with {len(told)} bodies" for key, told in bodies.items() if len(told) > 1)


def _mismatched(mismatches: Sequence[Operation]) -> Iterable[str]:
    """Find other requests under a key that was used which were not refused for that."""
    for operation in mismatches:
        was_answered = operation.status is not None and operation.status not in {*MAY_BE_REFUSED, 503}
        if was_answered and operation.code != "idempotency_key_reused":
            yield f"{operation.about} was used for another request, and answered with {operation.status}"


def _honest(evidence: Evidence) -> Iterable[str]:
    """Find answers that say what is not so, and errors that should not be."""
    hopeful = {o.about for o in evidence.operations if o.kind in SUBMITTING and o.outcome is not Outcome.FAILED}
    there = {row.key for row in evidence.rows} | set(evidence.batches)
    refused = {o.about for o in evidence.operations if o.kind in SUBMITTING} - hopeful
    yield from (f"{key} was only ever refused, and is there" for key in sorted(refused & there))
    for operation in evidence.operations:
        if operation.status is not None and operation.status >= 500 and operation.status != 503:
            yield f"{operation.kind} {operation.about} was answered with {operation.status}: {operation.body}"
        wants_a_time = operation.status in {*MAY_BE_REFUSED, 503} and operation.kind is not Kind.READY
        if wants_a_time and not operation.retry_after:
            yield f"{operation.kind} was answered with {operation.status} {operation.code} without a Retry-After"


def _ready(evidence: Evidence) -> Iterable[str]:
    """Find looks that said all was well while PostgreSQL was away."""
    for operation in evidence.operations:
        if operation.kind is Kind.READY and operation.status == 200 and operation.answered_seconds is not None:
            for outage in evidence.outages:
                noticed_seconds = outage.began_seconds + AWAY_NOTICED_SECONDS
                if noticed_seconds < operation.invoked_seconds and operation.answered_seconds < outage.ended_seconds:
                    yield f"ready {operation.invoked_seconds - outage.began_seconds:.1f} s after PostgreSQL went"
