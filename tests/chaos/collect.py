"""Collect what a run is judged by, once all is quiet: from the ledger, the receivers, the lists and the machine."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx2
import psycopg
from standardwebhooks.webhooks import Webhook

from shared.database import invariants
from tests.chaos.evidence import Evidence, Heard, Movement, Outage
from tests.chaos.faults.transfers import POISON_MINOR
from tests.chaos.people import Resident
from tests.chaos.watch import Watched
from tests.chaos.world import World
from tests.load.audit import Before, read_since
from tests.load.checker import Row

PAGE = 100
LISTED_MAX = 10_000
"""As far as each list is read, from its newest transfer on: whoever sends a million would be read for an hour."""

ANSWER_SECONDS_MAX = 60.0
STATUSES = ("queued", "succeeded", "failed")

READ_MOVEMENTS = "SELECT wallet_id::text, number, transfer_id::text, balance_after FROM entries"
READ_BATCHES = """
SELECT batches.idempotency_key, array_agg(transfers.id::text ORDER BY transfers.position)
FROM transfer_batches AS batches JOIN transfers ON transfers.batch_id = batches.id
GROUP BY batches.idempotency_key
"""
READ_EXHAUSTED = """
SELECT endpoints.owner_id::text, events.transfer_id::text
FROM webhook_deliveries AS deliveries
JOIN webhook_endpoints AS endpoints ON endpoints.id = deliveries.endpoint_id
JOIN events ON events.id = deliveries.event_id
WHERE deliveries.status = 'exhausted'
"""
READ_TIMES = """
SELECT transfers.created_at, ended.created_at
FROM transfers JOIN events AS ended ON ended.transfer_id = transfers.id AND ended.version = 2
WHERE transfers.position > %s ORDER BY transfers.created_at
"""


class Times(NamedTuple):
    """When a transfer was accepted and ended, by the clock of PostgreSQL."""

    accepted_at: datetime
    ended_at: datetime


def collect(
    world: World, *, before: Before, watched: Watched, unsettled: Sequence[str], unbounded: Sequence[str], bounds: int
) -> Evidence:
    """Read everything there is to judge by."""
    people = world.crowd.people
    numbers = {person.owner_id: person.number for person in people}
    with world.database() as connection:
        rows, entries = read_since(connection, before)
        audit = [(str(case["check"]), str(case)) for case in invariants.find_violations(connection)]
        movements = [Movement(*row) for row in connection.execute(READ_MOVEMENTS)]
        batches = dict(connection.execute(READ_BATCHES).fetchall())
        exhausted = frozenset((numbers[owner], transfer) for owner, transfer in connection.execute(READ_EXHAUSTED))
    lists, lists_read = _lists(world, rows)
    return Evidence(
        operations=world.crowd.history.operations,
        wallets={person.number: person.wallet_id for person in people},
        before=before.balances,
        rows=rows,
        entries=entries,
        movements=movements,
        batches=batches,
        audit=audit,
        sums=watched.wrong_sums,
        looks=watched.sums,
        unsettled=unsettled,
        heard=[heard for person in people for heard in _heard(person)],
        listening=frozenset(person.number for person in people if person.ear is not None),
        exhausted=exhausted,
        lists=lists,
        lists_read=lists_read,
        outages=[Outage(*outage) for outage in world.postgres.outages],
        unbounded=unbounded,
        bounds_checked=bounds,
        poisoned=frozenset(row.transfer_id for row in rows if row.amount == POISON_MINOR),
    )


def times(connection: psycopg.Connection, before: Before) -> list[Times]:
    """Say when each transfer was accepted and ended, in order of acceptance."""
    return [Times(*row) for row in connection.execute(READ_TIMES, (before.last_position,))]


def _heard(person: Resident) -> list[Heard]:
    """Read what somebody was told; what came before the run, or is not about a transfer, is nobody's business."""
    found: list[Heard] = []
    for heard in list(person.ear.heard) if person.ear else []:
        told: dict[str, Any] = json.loads(heard.request.body)
        found.append(
            Heard(
                person=person.number,
                event_id=heard.request.headers["webhook-id"],
                transfer_id=told["data"]["id"],
                type=told["type"],
                status=told["data"]["status"],
                body=heard.request.body,
                verified=_is_verified(heard.request.body, heard.request.headers, secret=person.secret),
                acknowledged=heard.acknowledged,
            )
        )
    return found


def _is_verified(body: bytes, headers: Mapping[str, str], *, secret: str) -> bool:
    """Say whether a signature is good; the library's own check would also find it too old by now."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=UTC)
    signature = Webhook(secret).sign(headers["webhook-id"], at, body.decode())
    return signature in headers["webhook-signature"].split()


def _lists(world: World, rows: Sequence[Row]) -> tuple[list[str], int]:
    """Read each person's lists of transfers; say what is in them and should not be, or the other way.

    There is nobody to read them from once the system has ended.
    """
    if world.system.has_ended():
        return [], 0
    wrong: list[str] = []
    for person in world.crowd.people:
        theirs = _theirs(person, rows)
        for status in STATUSES:
            newest = Counter(theirs[status][-LISTED_MAX:])
            listed = _listed(world, person, status=status, count=newest.total())
            wrong += [f"{id_} is listed for {person.number} and should not be" for id_ in listed - newest]
            wrong += [f"{id_} is not listed for {person.number}" for id_ in newest - listed]
    return wrong, len(world.crowd.people) * len(STATUSES)


def _theirs(person: Resident, rows: Sequence[Row]) -> Mapping[str, Sequence[str]]:
    """Say which transfers somebody sees, by status, the oldest first: what they sent, and what they were paid."""
    found: dict[str, list[str]] = {status: [] for status in STATUSES}
    for row in rows:
        status = "queued" if not row.endings else "succeeded" if row.endings[0] is None else "failed"
        if row.source == person.wallet_id or (row.destination == person.wallet_id and status == "succeeded"):
            found[status].append(row.transfer_id)
    return found


def _listed(world: World, person: Resident, *, status: str, count: int) -> Counter[str]:
    """Read a list, newest first, as far as there are transfers of this run."""
    found: Counter[str] = Counter()
    query: dict[str, str | int] = {"status": status, "limit": PAGE}
    headers = {"Authorization": f"Bearer {person.key}"}
    with httpx2.Client(base_url=world.system.url, headers=headers, timeout=ANSWER_SECONDS_MAX, trust_env=False) as http:
        while found.total() < count:
            page: dict[str, Any] = http.get("/v1/transfers", params=query).json()
            found.update(transfer["id"] for transfer in page["data"][: count - found.total()])
            if not page["has_more"]:
                break
            query["cursor"] = page["next_cursor"]
    return found
