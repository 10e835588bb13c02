"""Judge what receivers heard (I9): everything owed, nothing else, the same bytes each time, under one id. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from tests.chaos.evidence import Evidence


def judge(evidence: Evidence) -> tuple[int, list[str]]:
    """Say how much was looked at, and what is wrong."""
    return len(evidence.heard), [*_untold(evidence), *_contradictions(evidence), *_untrue(evidence)]


def owed(evidence: Evidence) -> set[tuple[int, str]]:
    """Say who is to be told of what: the payer of all, the payee of what succeeded."""
    people = {wallet: number for number, wallet in evidence.wallets.items()}
    found: set[tuple[int, str]] = set()
    for row in evidence.rows:
        payee = [row.destination] if row.endings[:1] == (None,) else []
        found |= {(people[wallet], row.transfer_id) for wallet in (row.source, *payee) if wallet in people}
    return {(person, transfer_id) for person, transfer_id in found if person in evidence.listening}


def _untold(evidence: Evidence) -> Iterable[str]:
    acknowledged = {(heard.person, heard.transfer_id) for heard in evidence.heard if heard.acknowledged}
    for person, transfer_id in sorted(owed(evidence) - acknowledged - evidence.exhausted):
        yield f"{person} was not told of {transfer_id}"


def _contradictions(evidence: Evidence) -> Iterable[str]:
    bodies: defaultdict[tuple[int, str], set[bytes]] = defaultdict(set)
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for heard in evidence.heard:
        bodies[heard.person, heard.transfer_id].add(heard.body)
        ids[heard.transfer_id].add(heard.event_id)
        if not heard.verified:
            yield f"{heard.event_id} came to {heard.person} with a signature that is not good"
    yield from (f"{person} was told of {id_} in several forms" for (person, id_), b in bodies.items() if len(b) > 1)
    yield from (
        f"{transfer_id} was told of under {len(found)} ids" for transfer_id, found in ids.items() if len(found) > 1
    )


def _untrue(evidence: Evidence) -> Iterable[str]:
    told = owed(evidence)
    endings = {row.transfer_id: row.endings for row in evidence.rows}
    for heard in evidence.heard:
        if (heard.person, heard.transfer_id) not in told:
            yield f"{heard.person} was told of {heard.transfer_id}, which is not for them"
            continue
        status = "succeeded" if endings[heard.transfer_id][0] is None else "failed"
        if (heard.type, heard.status) != (f"transfer.{status}", status):
            yield f"{heard.person} was told that {heard.transfer_id} is {heard.status}, and it is {status}"
