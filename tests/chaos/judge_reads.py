"""Judge what clients read (I8): a status never goes back, a wallet is as the ledger had it at some entry. Pure."""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from tests.chaos.evidence import Evidence
from tests.chaos.history import SUBMITTING, Kind, Operation, Outcome

QUEUED = "queued"


def judge(evidence: Evidence) -> tuple[int, list[str]]:
    """Say how much was looked at, and what is wrong."""
    reads = [o for o in evidence.operations if o.kind is Kind.READ and o.status is not None]
    wallets = [o for o in evidence.operations if o.kind is Kind.READ_WALLET and o.outcome is Outcome.OK]
    wrong = [*_statuses(evidence, reads), *_wallets(evidence, wallets), *evidence.lists]
    return len(reads) + len(wallets) + evidence.lists_read, wrong


def _statuses(evidence: Evidence, reads: Sequence[Operation]) -> Iterable[str]:
    endings = {row.transfer_id: _status(row.endings) for row in evidence.rows}
    ended_seconds = _ended_seconds(evidence)
    for read in reads:
        if read.status == 404:
            yield f"{read.about} was accepted, and could not be found"
        if read.outcome is not Outcome.OK:
            continue
        status: str = read.told["status"]
        if status == QUEUED and read.invoked_seconds > ended_seconds.get(read.about, float("inf")):
            yield f"{read.about} had ended, and was read as queued"
        if status not in {QUEUED, endings.get(read.about)}:
            yield f"{read.about} was read as {status}, and is {endings.get(read.about)}"


def _status(endings: Sequence[str | None]) -> str:
    if not endings:
        return QUEUED
    return "succeeded" if endings[0] is None else "failed"


def _ended_seconds(evidence: Evidence) -> dict[str, float]:
    """Say from when on somebody knew that a transfer had ended."""
    found: dict[str, float] = {}
    for operation in evidence.operations:
        tells = operation.kind is Kind.READ or operation.kind in SUBMITTING
        if tells and operation.outcome is Outcome.OK and operation.status == 200:
            told = json.loads(operation.body or "{}")
            if told.get("status") not in {None, QUEUED}:
                known_seconds = operation.answered_seconds or float("inf")
                found[told["id"]] = min(known_seconds, found.get(told["id"], float("inf")))
    return found


def _wallets(evidence: Evidence, reads: Sequence[Operation]) -> Iterable[str]:
    held = {(movement.wallet, movement.number): movement.balance_after for movement in evidence.movements}
    known = _known_entries(evidence, reads)
    for read in reads:
        told = read.told
        number: int = told["entry_count"]
        if held.get((read.about, number)) != told["balance"]:
            yield f"{read.about} was read with {told['balance']} after {number} entries, which it never held"
        times, least = known[read.about]
        place = bisect_left(times, read.invoked_seconds)
        if place and least[place - 1] > number:
            yield f"{read.about} was read with {number} entries when {least[place - 1]} were known"


def _known_entries(evidence: Evidence, reads: Sequence[Operation]) -> dict[str, tuple[list[float], list[int]]]:
    """Say for each wallet from when on how many entries were known: read of it, or from a transfer that had ended."""
    known: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for read in reads:
        known[read.about].append((read.answered_seconds or float("inf"), read.told["entry_count"]))
    ended_seconds = _ended_seconds(evidence)
    for movement in evidence.movements:
        if (at_seconds := ended_seconds.get(movement.transfer_id)) is not None:
            known[movement.wallet].append((at_seconds, movement.number))
    found: dict[str, tuple[list[float], list[int]]] = {}
    for wallet, points in known.items():
        points.sort()
        found[wallet] = [at for at, _ in points], list(accumulate((number for _, number in points), max))
    return found
