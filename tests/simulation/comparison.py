"""Compare the ledger with what it should know, row by row, and say which invariant does not hold."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import tuple_row

from shared.database import invariants
from shared.database.claims import ClaimedDelivery
from tests.load import checker
from tests.load.audit import READ_ENTRIES, READ_TRANSFERS
from tests.simulation.model import Complaint, Invariant, Model

ENDINGS: LiteralString = """
SELECT transfer_id, failure_code, lane, number, created_at
FROM events WHERE transfer_id IS NOT NULL ORDER BY lane, number
"""
TRANSFERS: LiteralString = """
SELECT id, owner_id, source_wallet_id, destination_wallet_id, amount, idempotency_key FROM transfers ORDER BY position
"""
QUEUE: LiteralString = "SELECT transfer_id, position FROM queue ORDER BY position"
ENTRIES: LiteralString = "SELECT wallet_id, number, amount, balance_after FROM entries ORDER BY wallet_id, number"
WALLETS: LiteralString = "SELECT id, balance, entry_count FROM wallets WHERE id = ANY(%s)"
DELIVERIES: LiteralString = """
SELECT delivery.endpoint_id, events.transfer_id, delivery.status, delivery.event_id
FROM webhook_deliveries AS delivery JOIN events ON events.id = delivery.event_id
"""


def catch_up(connection: Connection, model: Model) -> Iterator[Complaint]:
    """Have the model take note of what ended since the last time."""
    endings = _rows(connection, ENDINGS)
    for (before, failure), known in zip(((row[0], row[1]) for row in endings), model.ended, strict=False):
        if (before, failure) != (known.id, known.failure):
            yield Complaint(Invariant.READS, f"{known.id} ended as {known.failure}, and now {before} as {failure}")
    if len(endings) < len(model.ended):
        yield Complaint(Invariant.READS, f"{len(model.ended) - len(endings)} that had ended have not any more")
    for transfer_id, failure, *_ in endings[len(model.ended) :]:
        yield from model.end(transfer_id, failure=failure)
    numbers = [number for _, _, _, number, _ in endings]
    if numbers != list(range(1, len(numbers) + 1)):
        yield Complaint(Invariant.NO_DOUBLE, f"events are numbered {numbers}")
    moments = [at for *_, at in endings]
    if moments != sorted(moments):
        yield Complaint(Invariant.READS, "events go back in time")


def differences(connection: Connection, model: Model, received: Iterable[ClaimedDelivery]) -> Iterator[Complaint]:
    """Say where the ledger is not what the model is, as it stands now."""
    yield from _of_transfers(connection, model)
    yield from _of_money(connection, model)
    yield from _of_webhooks(connection, model, received)
    for violation in invariants.find_violations(connection):
        yield Complaint(Invariant.CONSERVATION, str(violation))


def checked(connection: Connection, model: Model, sent: Iterable[checker.Sent]) -> checker.Faults:
    """Ask the checker that judges loads and chaos, too: at rest, when everything should have ended."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        rows = [
            checker.Row(transfer_id, _whose(key, transfer_id, model), source, destination, amount, tuple(endings), turn)
            for transfer_id, key, source, destination, amount, endings, turn in cursor.execute(READ_TRANSFERS, (0,))
        ]
        entries = [checker.Entry(*row) for row in cursor.execute(READ_ENTRIES, (0,))]
    before = {str(wallet): balance for wallet, balance in model.clerk.opening.items()}
    violations = [str(violation) for violation in invariants.find_violations(connection)]
    return checker.check(rows, entries=entries, before=before, sent=list(sent), violations=violations)


def _whose(key: str | None, transfer_id: str, model: Model) -> str | None:
    """Say whose key it is: everybody may call theirs the same, which the checker does not know."""
    known = model.accepted.get(UUID(transfer_id))
    return key if key is None or known is None else f"{known.request.owner_id} {key}"


def _of_transfers(connection: Connection, model: Model) -> Iterator[Complaint]:
    found = _rows(connection, TRANSFERS)
    ids, expected = [row[0] for row in found], [known.id for known in model.in_order()]
    for transfer_id in set(expected) - set(ids):
        yield Complaint(Invariant.NO_LOSS, f"{transfer_id} was accepted and is not there")
    for transfer_id in set(ids) - set(expected):
        yield Complaint(Invariant.NO_DOUBLE, f"{transfer_id} is there and was not accepted")
    if set(ids) == set(expected) and ids != expected:
        yield Complaint(Invariant.REAL_TIME, "transfers stand in another order than they were accepted in")
    yield from _as_asked(found, model)
    queued, waiting = [row[0] for row in _rows(connection, QUEUE)], [known.id for known in model.queue()]
    if gone := set(waiting) - set(queued):
        yield Complaint(Invariant.NO_LOSS, f"{len(gone)} are neither queued nor ended")
    if twice := set(queued) - set(waiting):
        yield Complaint(Invariant.NO_DOUBLE, f"{len(twice)} are queued that ended or were not accepted")


def _as_asked(found: Iterable[tuple[Any, ...]], model: Model) -> Iterator[Complaint]:
    for transfer_id, *asked in found:
        if (known := model.accepted.get(transfer_id)) is not None:
            request = known.request
            wanted = [request.owner_id, known.source, known.destination, request.amount_minor, request.idempotency_key]
            if asked != wanted:
                yield Complaint(Invariant.READS, f"{transfer_id} is not as it was asked for: {asked}")


def _of_money(connection: Connection, model: Model) -> Iterator[Complaint]:
    pages: defaultdict[UUID, list[tuple[int, int, int]]] = defaultdict(list)
    for wallet, number, amount, after in _rows(connection, ENTRIES):
        pages[wallet].append((number, amount, after))
    held = {wallet: (balance, count) for wallet, balance, count in _rows(connection, WALLETS, list(model.owners))}
    for wallet in model.owners:
        expected = [(number, *line) for number, line in enumerate(model.clerk.pages.get(wallet, []), start=1)]
        if pages[wallet] != expected:
            yield Complaint(Invariant.ORDER, f"the page of {wallet} is {pages[wallet]}, the clerk's {expected}")
        if held[wallet] != (model.clerk.balance(wallet), len(expected)):
            yield Complaint(Invariant.REPLAY, f"{wallet} holds {held[wallet]}, for the clerk {expected[-1:]}")


def _of_webhooks(connection: Connection, model: Model, received: Iterable[ClaimedDelivery]) -> Iterator[Complaint]:
    rows = _rows(connection, DELIVERIES)
    owed, expected = [(row[0], row[1]) for row in rows], model.owed()
    if sorted(owed) != sorted(expected):
        yield Complaint(Invariant.WEBHOOKS, f"{len(owed)} are owed, {len(expected)} should be")
    bodies: defaultdict[tuple[UUID, UUID], set[bytes]] = defaultdict(set)
    for delivery in received:
        bodies[delivery.endpoint_id, delivery.event_id].add(delivery.body)
    told = {pair: _transfer_told(same) for pair, same in bodies.items()}
    for endpoint_id, transfer_id, status, event_id in rows:
        seen = told.pop((endpoint_id, event_id), None)
        if seen is None and status == "delivered":
            yield Complaint(Invariant.WEBHOOKS, f"{transfer_id} counts as delivered and was not received")
        known = model.accepted.get(transfer_id)
        if seen is not None and known is not None and seen != (str(transfer_id), known.status):
            yield Complaint(Invariant.WEBHOOKS, f"{transfer_id} is {known.status} and was told of as {seen}")
    if told:
        yield Complaint(Invariant.WEBHOOKS, f"{len(told)} were told of what did not happen")


def _transfer_told(bodies: set[bytes]) -> tuple[str, str]:
    """Read what a receiver was told of one event, the same each time."""
    if len(bodies) > 1:
        return ("several bodies", "")
    data: Mapping[str, Any] = json.loads(next(iter(bodies)))["data"]
    return (data["id"], data["status"])


def _rows(connection: Connection, statement: LiteralString, *arguments: object) -> list[tuple[Any, ...]]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(statement, arguments or None).fetchall()
