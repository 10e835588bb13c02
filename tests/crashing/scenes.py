"""Set the scenes that the crash walk kills parts in, and say what is wrong once they have been started again."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.rows import tuple_row

from shared.domain.acceptance import Accepted
from shared.domain.api_key import KEY_PREFIX
from shared.identifiers import event_name, new_id
from tests.ledger import CURRENCY, Ledger
from tests.receiver import Received, Receiver, Reply
from tests.webhook_worker import WHSEC, Owing
from worker.lanes.apply import ATTEMPTS_MAX

KEY: Final = f"{KEY_PREFIX}walk"

HOLDING: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """Transfers out of one wallet that are queued, and how each has to end."""

    ledger: Ledger
    source_id: UUID
    endings: dict[UUID, str]

    def complaints(self) -> list[object]:
        """Name what is wrong with how they ended."""
        ledger, wrong = self.ledger, list[object]()
        ended = {transfer_id: ledger.ending(transfer_id) for transfer_id in self.endings}
        if ended != self.endings:
            wrong.append(("endings", ended, self.endings))
        order = ledger.order_of_debits(self.source_id)
        if order != [transfer_id for transfer_id, ending in self.endings.items() if ending == "succeeded"]:
            wrong.append(("order", order))
        with ledger.connection.cursor(row_factory=tuple_row) as cursor:
            lane = cursor.execute(
                "SELECT (SELECT count(*) FROM queue), stopped_at,"
                " event_number - (SELECT count(*) FROM events WHERE lane = 1) FROM lanes WHERE lane = 1"
            ).fetchone()
            told = cursor.execute(
                "SELECT count(*), count(DISTINCT event_id) FROM webhook_deliveries JOIN events ON event_id = events.id"
                " WHERE transfer_id = ANY(%s)",
                (list(self.endings),),
            ).fetchone()
        if lane != (0, None, 0):
            wrong.append(("lane", lane))
        if told != (len(self.endings), len(self.endings)):
            wrong.append(("owed", told))
        return wrong + ledger.violations()


def queued(ledger: Ledger, amounts: dict[int, str]) -> Queued:
    """Accept transfers of these amounts out of a wallet that holds ten, and say how each has to end."""
    source, destination = ledger.wallet(holding=HOLDING), ledger.wallet()
    accepted = ledger.accept([ledger.request(source, destination, amount) for amount in amounts])
    ids = [acceptance.transfer.id for acceptance in accepted if isinstance(acceptance, Accepted)]
    return Queued(ledger=ledger, source_id=source, endings=dict(zip(ids, amounts.values(), strict=True)))


def at_ease(ledger: Ledger) -> Queued:
    """Queue some of which one is beyond its wallet."""
    return queued(ledger, {5: "succeeded", 8: "insufficient_funds", 4: "succeeded", 1: "succeeded"})


def with_care(ledger: Ledger) -> Queued:
    """Queue some in a lane whose holder died."""
    some = queued(ledger, {2: "succeeded", 3: "succeeded", 9: "insufficient_funds"})
    _holder_died(ledger)
    return some


def given_up(ledger: Ledger) -> Queued:
    """Queue one that killed five holders, and one behind it."""
    some = queued(ledger, {2: "unprocessable", 3: "succeeded"})
    ledger.connection.execute(
        "UPDATE queue SET attempts = %s WHERE transfer_id = %s", (ATTEMPTS_MAX, next(iter(some.endings)))
    )
    _holder_died(ledger)
    return some


def _holder_died(ledger: Ledger) -> None:
    ledger.connection.execute(
        "UPDATE lanes SET busy_by = %s, busy_since = clock_timestamp() - interval '1 hour' WHERE lane = 1", (new_id(),)
    )


def all_to_do(ledger: Ledger, endpoint_id: UUID) -> Queued:
    """Give upkeep something of everything to do."""
    ledger.connection.execute("INSERT INTO audits (id, requested_at) VALUES (%s, now())", (new_id(),))
    ledger.connection.execute(
        "INSERT INTO webhook_recoveries (id, endpoint_id, since, until, requested_at)"
        " VALUES (%s, %s, '-infinity', now(), now())",
        (new_id(), endpoint_id),
    )
    session_id = ledger.value(
        "WITH someone AS (INSERT INTO users VALUES (%s, 'Rina', %s, 'hash', now()) RETURNING id)"
        " INSERT INTO sessions (id, user_id, created_at, ends_at)"
        " SELECT %s, id, now(), now() - interval '31 days' FROM someone RETURNING id",
        *(owner_id := new_id(), f"{owner_id}@example.org", new_id()),
    )
    ledger.connection.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at, ends_at)"
        " VALUES (sha256(%s), %s, now(), now() - interval '31 days')",
        (session_id.bytes, session_id),
    )
    return at_ease(ledger)


def left_to_do(ledger: Ledger) -> tuple[int, ...]:
    """Count what upkeep has not done: audits, recoveries, and what is to be forgotten."""
    statements = (
        "SELECT count(*) FROM audits WHERE finished_at IS NULL OR NOT (report->>'holds')::boolean",
        "SELECT count(*) FROM webhook_recoveries WHERE finished_at IS NULL",
        "SELECT count(*) FROM refresh_tokens",
        "SELECT count(*) FROM sessions",
    )
    return tuple(ledger.value(statement) for statement in statements)


def requests(ledger: Ledger, *, n: int) -> list[dict[str, Any]]:
    """Ask for a transfer, for that again, for another under its key, for a batch, for that again, and to sign up."""
    transfer = {
        "source_wallet_id": str(ledger.wallet(holding=HOLDING)),
        "destination_wallet_id": str(ledger.wallet()),
        "amount": 1,
        "currency": CURRENCY,
    }
    batch = {"transfers": [{**transfer, "amount": amount} for amount in (2, 9, 3)]}
    somebody = {"name": "Rina", "email": email(n), "pin": "27182"}
    asked = [
        ("/v1/transfers", transfer),
        ("/v1/transfers", transfer),
        ("/v1/transfers", {**transfer, "amount": 7}),
        ("/v1/transfer-batches", batch),
        ("/v1/transfer-batches", batch),
        ("/v1/users", somebody),
    ]
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": str(n), "X-Request-ID": "walk"}
    return [{"method": "POST", "url": path, "json": body, "headers": headers} for path, body in asked]


def email(n: int) -> str:
    """Name whoever signs up."""
    return f"n{n}@example.org"


def accepted_under(ledger: Ledger, *, n: int) -> tuple[int, ...]:
    """Count what `requests` came to: transfers and batches under the key, transfers of the batch, people, grants."""
    return (
        ledger.value("SELECT count(*) FROM transfers WHERE idempotency_key = %s", str(n)),
        ledger.value("SELECT count(*) FROM transfer_batches WHERE idempotency_key = %s", str(n)),
        ledger.value(
            "SELECT count(*) FROM transfers JOIN transfer_batches AS batch ON batch.id = batch_id"
            " WHERE batch.idempotency_key = %s",
            str(n),
        ),
        ledger.value("SELECT count(*) FROM users WHERE email = %s", email(n)),
        ledger.value(
            "SELECT count(*) FROM transfers JOIN users ON users.id = destination_owner_id WHERE email = %s", email(n)
        ),
    )


def not_ended(ledger: Ledger) -> list[object]:
    """Name what is wrong with a ledger in which everything has been done."""
    counts = ledger.value(
        "SELECT ARRAY[(SELECT count(*) FROM queue), (SELECT count(*) FROM transfers)"
        " - (SELECT count(*) FROM events WHERE transfer_id IS NOT NULL),"
        " (SELECT count(busy_by) + sum(careful_transfers_left) FROM lanes)]"
    )
    return ([] if counts == [0, 0, 0] else [counts]) + ledger.violations()


def untold(ledger: Ledger, receiver: Receiver) -> list[object]:
    """Name what is wrong with what a receiver was told of the transfers that it is owed."""
    with ledger.connection.cursor(row_factory=tuple_row) as cursor:
        owed = dict(
            cursor.execute("SELECT event_id, body FROM webhook_deliveries WHERE status = 'delivered'").fetchall()
        )
    told = bodies(receiver)
    wrong: list[object] = [event_id for event_id, body in owed.items() if told.get(event_name(event_id)) != {body}]
    left = ledger.value("SELECT count(*) FROM webhook_deliveries WHERE status <> 'delivered'")
    return wrong + ([("not delivered", left)] if left or len(owed) != len(told) else [])


def bodies(receiver: Receiver) -> dict[str, set[bytes]]:
    """Say what was told under each id, once its signature is found good."""
    told: defaultdict[str, set[bytes]] = defaultdict(set)
    for request in list(receiver.received):
        request.verified(WHSEC)
        told[request.headers["webhook-id"]].add(request.body)
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What is owed to endpoints: one that answers, one that does not at first, one that is gone, one deleted."""

    books: Owing
    steady: UUID
    unsteady: UUID
    gone: UUID
    deleted: UUID

    def complaints(self) -> list[object]:
        """Name what is wrong with how deliveries ended."""
        expected = {
            self.steady: ["delivered"] * 3,
            # And word of the one that is gone.
            self.unsteady: ["delivered"] * 3,
            self.gone: ["exhausted"],
            self.deleted: ["exhausted"],
        }
        statuses = {endpoint_id: self._statuses(endpoint_id) for endpoint_id in expected}
        disabled = self.books.value(
            "SELECT count(*) FROM events WHERE endpoint_id = %s AND type = 'webhook_endpoint.disabled'", self.gone
        )
        miscounted = self.books.value(
            "SELECT count(*) FROM webhook_deliveries WHERE attempts <>"
            " (SELECT count(*) FROM webhook_attempts WHERE delivery_id = webhook_deliveries.id)"
        )
        wrong: list[object] = [] if statuses == expected else [statuses]
        return wrong + ([] if (disabled, miscounted) == (1, 0) else [("disabled, miscounted", disabled, miscounted)])

    def _statuses(self, endpoint_id: UUID) -> list[str]:
        return self.books.value(
            "SELECT array_agg(status ORDER BY id) FROM webhook_deliveries WHERE endpoint_id = %s", endpoint_id
        )


def owed(books: Owing, url: str) -> Owed:
    """Owe something to endpoints of every kind."""
    owner_id = books.new_owner()
    paths = ("steady", "unsteady", "gone", "deleted")
    found = Owed(books=books, **{path: books.endpoint(f"{url}/{path}", owner_id=owner_id) for path in paths})
    for endpoint_id, count in ((found.steady, 2), (found.unsteady, 2), (found.gone, 1), (found.deleted, 1)):
        books.owe(endpoint_id, count)
    books.connection.execute("UPDATE webhook_endpoints SET deleted_at = now() WHERE id = %s", (found.deleted,))
    return found


class Moods:
    """Answers as the address says."""

    def __init__(self) -> None:
        """Begin with nobody refused."""
        self._refused: set[str] = set()

    def __call__(self, request: Received) -> Reply:
        """Answer."""
        if request.path.endswith("/gone"):
            return Reply(status=410)
        message_id = request.headers["webhook-id"]
        if request.path.endswith("/unsteady") and message_id not in self._refused:
            self._refused.add(message_id)
            return Reply(status=503)
        return Reply()


def untold_by(owed_to: Sequence[Owed], receiver: Receiver, books: Owing) -> list[object]:
    """Name what was told otherwise than it is owed, to those who answer."""
    told = bodies(receiver)
    wrong: list[object] = []
    for one in owed_to:
        rows = books.connection.execute(
            "SELECT event_id, body FROM webhook_deliveries WHERE endpoint_id = ANY(%s)", ([one.steady, one.unsteady],)
        ).fetchall()
        wrong += [event_id for event_id, body in rows if told.get(event_name(event_id)) != {body}]
    return wrong
