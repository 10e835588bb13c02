"""Take away what holds a promise, in a process and a database that are thrown away afterwards.

The one place where tests replace code of the project's own: a checker that never failed proves nothing, and there is no
build without a lock to be had. Only `broken.py` uses it, in a process of its own, before any work begins.
"""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, Connection

from shared.database import ledger
from shared.database.acceptance import accept
from shared.domain.acceptance import Accepted, Refused, TransferRequest
from shared.domain.lane import lane_of
from worker.lanes import apply

LOCK: Final = "FOR NO KEY UPDATE"
BY_RANGE: LiteralString = """
DELETE FROM queue
WHERE lane = %(lane)s AND position <= (SELECT max(position) FROM unnest(%(positions)b::bigint[]) AS read (position))
"""
# Takes the lane, and reads its queue with the snapshot from before it had it.
TAKE_AND_READ: LiteralString = """
SELECT lanes.lane, lanes.event_number, careful_transfers_left, unprocessable_in_a_row,
       stopped_at IS NOT NULL AS stopped, busy_by, clock_timestamp() - busy_since AS busy_for,
       (SELECT queue_horizon.position FROM queue_horizon) AS horizon,
       queue.position, transfer_id, source_wallet_id, destination_wallet_id, amount, attempts, accepted_at,
       greatest(clock_timestamp(), last_applied_at) AS read_at
FROM lanes
LEFT JOIN queue ON queue.lane = lanes.lane
WHERE lanes.lane = %(lane)s
ORDER BY queue.position
FOR NO KEY UPDATE OF lanes
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """Something that holds a promise.

    Attributes:
        remove: Does so, given where the database is.
    """

    remove: Callable[[str], None]


def without_constraint(statement: LiteralString) -> Mechanism:
    """Make one that is a constraint of the schema."""

    def remove(database_url: str) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(statement)

    return Mechanism(remove=remove)


def without_code(module: ModuleType, replacements: Mapping[str, Any]) -> Mechanism:
    """Make one that is a function or a statement of a module's."""

    def remove(_: str) -> None:
        for name, replacement in replacements.items():
            assert hasattr(module, name), f"{module.__name__} has no {name} to be without"
            setattr(module, name, replacement)

    return Mechanism(remove=remove)


def by_another_way() -> Mechanism:
    """Make one for which the script has another way."""
    return Mechanism(remove=lambda _: None)


def delete_whatever_is_there(tx: Connection, rows: Sequence[ledger.QueueRow], *, lane: int) -> None:
    """Take transfers out of the queue, and do not look how many there were."""
    tx.execute(ledger.DELETE_APPLIED, {"lane": lane, "positions": [row.position for row in rows]})


class OneStatement:
    """Takes a lane and reads its queue at once."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._rows: dict[int, list[ledger.QueueRow]] = {}

    def keep_lane(self, tx: Connection, lane: int) -> ledger.TakenLane:
        """Take the lane, and remember what was read with it."""
        rows = tx.execute(TAKE_AND_READ, {"lane": lane}).fetchall()
        self._rows[id(tx)] = [ledger.QueueRow._make(row[8:]) for row in rows if row[8] is not None]
        names = (
            "lane",
            "event_number",
            "careful_transfers_left",
            "unprocessable_in_a_row",
            "stopped",
            "busy_by",
            "busy_for",
            "horizon",
        )
        return ledger.TakenLane(**dict(zip(names, rows[0][:8], strict=True)))

    def read_head(self, tx: Connection, lane: int, *, limit: int) -> list[ledger.QueueRow]:
        """Give what was read."""
        del lane
        return self._rows[id(tx)][:limit]


def keep_whoevers_mark_it_is(stay: Any) -> ledger.TakenLane:  # noqa: ANN401 (a stay is the module's own)
    """Take the lane again, and do not look whether somebody else has come meanwhile."""
    return ledger.keep_lane(stay.connection, stay.lane)


class InTurns:
    """Asks for wallets in one order and in the other, as two that have only a set of them may."""

    def __init__(self) -> None:
        """Begin with the one."""
        self._lock_wallets = ledger.lock_wallets
        self._turns = itertools.cycle((False, True))

    def lock_wallets(self, tx: Connection, wallet_ids: Collection[UUID]) -> ledger.LockedWallets:
        """Lock them in that order, unless the statement has one of its own."""
        return self._lock_wallets(tx, sorted(wallet_ids, reverse=next(self._turns)))


_ONE_STATEMENT: Final = OneStatement()
_IN_TURNS: Final = InTurns()

MECHANISMS: Final[Mapping[str, Mechanism]] = {
    "row count": without_code(ledger, {"delete_applied": delete_whatever_is_there}),
    "exact positions": without_code(ledger, {"DELETE_APPLIED": BY_RANGE}),
    "lane lock": without_code(
        ledger,
        {
            "KEEP_LANE": ledger.KEEP_LANE.replace(LOCK, ""),
            "TAKE_LANE": ledger.TAKE_LANE.replace(LOCK, "").replace("SKIP LOCKED", ""),
        },
    ),
    "order of wallet locks": without_code(ledger, {"LOCK_WALLETS": ledger.LOCK_WALLETS.replace("ORDER BY id", "")}),
    "one order of asking": without_code(ledger, {"lock_wallets": _IN_TURNS.lock_wallets}),
    "statements apart": without_code(
        ledger, {"keep_lane": _ONE_STATEMENT.keep_lane, "read_head": _ONE_STATEMENT.read_head}
    ),
    "holder's mark": without_code(apply, {"_keep": keep_whoevers_mark_it_is}),
    "unique events (transfer_id, version)": without_constraint(
        "ALTER TABLE events DROP CONSTRAINT events_transfer_id_version_key"
    ),
    "unique events (lane, number)": without_constraint("ALTER TABLE events DROP CONSTRAINT events_lane_number_key"),
    "unique entries (transfer_id, wallet_id)": without_constraint(
        "ALTER TABLE entries DROP CONSTRAINT entries_transfer_id_wallet_id_key"
    ),
    "check lanes_busy_is_by_somebody": without_constraint(
        "ALTER TABLE lanes DROP CONSTRAINT lanes_busy_is_by_somebody"
    ),
    "wake-up after commit": by_another_way(),
    "sweep": by_another_way(),
    "keys in PostgreSQL": by_another_way(),
}


async def wake_and_accept(
    wake_lane: Callable[[int], None],
    tx: AsyncConnection,
    requests: Sequence[TransferRequest],
    /,
    *,
    lane_count: int,
    is_full: bool,
) -> Sequence[Accepted | Refused]:
    """Wake the lane while the rows are written and not committed."""
    answers = await accept(tx, requests, lane_count=lane_count, is_full=is_full)
    for answer in answers:
        for source in answer.fresh_source_ids if isinstance(answer, Accepted) else ():
            wake_lane(lane_of(source, lane_count=lane_count))
    return answers


class KeysInBroker:
    """Keeps idempotency keys where messages are kept."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._kept: dict[tuple[UUID, str | None], Accepted] = {}

    async def accept(
        self, tx: AsyncConnection, requests: Sequence[TransferRequest], /, *, lane_count: int, is_full: bool
    ) -> Sequence[Accepted | Refused]:
        """Look keys up in the broker, and write transfers without."""
        answers: list[Accepted | Refused] = []
        for request in requests:
            whose = (request.owner_id, request.idempotency_key)
            if whose in self._kept:
                answers.append(self._kept[whose]._replace(replayed=True))
                continue
            keyless = request._replace(idempotency_key=None, fingerprint=None)
            (answer,) = await accept(tx, [keyless], lane_count=lane_count, is_full=is_full)
            if isinstance(answer, Accepted):
                self._kept[whose] = answer
            answers.append(answer)
        return answers

    def empty(self) -> None:
        """Lose everything, as a broker does that is emptied."""
        self._kept.clear()
