"""Drive a ledger in a test as the edge and a lane would, without HTTP or a broker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from shared.database import invariants
from shared.database.acceptance import accept
from shared.database.connections import API, WORKER, connect, connect_async
from shared.domain.acceptance import Acceptance, Accepted, TransferRequest
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id
from worker.lanes.apply import Drained, Holder, drain

CURRENCY = "CZK"
DRAIN_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A database with wallets of the operators', all in one currency."""

    database_url: str
    connection: psycopg.Connection = field(repr=False)

    @classmethod
    def on(cls, database_url: str) -> "Ledger":
        """Take a database that no lane works on."""
        connection = connect(database_url, application_name="test", timeouts=WORKER)
        return cls(database_url=database_url, connection=connection)

    @property
    def issuance_id(self) -> UUID:
        return self.value("SELECT id FROM wallets WHERE kind = 'issuance' AND currency = %s", CURRENCY)

    def wallet(self, *, holding: int = 0) -> UUID:
        """Open a wallet, funded from issuance."""
        wallet_id = new_id()
        self.connection.execute(
            "INSERT INTO wallets (id, owner_id, kind, currency, external_id, balance, floor, entry_count, created_at)"
            " VALUES (%s, %s, 'operator', %s, %s, 0, 0, 0, now())",
            (wallet_id, OPERATORS_OWNER_ID, CURRENCY, str(wallet_id)),
        )
        if holding:
            self.accept([self.request(self.issuance_id, wallet_id, holding)])
            self.drain()
        return wallet_id

    def request(self, source_id: UUID, destination_id: UUID, amount: int, *, key: str | None = None) -> TransferRequest:
        """Ask for a transfer, without a key unless one is given."""
        return TransferRequest(
            transfer_id=new_id(),
            owner_id=OPERATORS_OWNER_ID,
            idempotency_key=key,
            fingerprint=f"{source_id} {destination_id} {amount}".encode() if key else None,
            source_wallet_id=source_id,
            destination_wallet_id=destination_id,
            destination_email=None,
            amount_minor=amount,
            currency=CURRENCY,
            reference=None,
            note=None,
            metadata=None,
        )

    def accept(self, requests: Sequence[TransferRequest], *, lane_count: int = 1) -> list[Acceptance]:
        """Accept in one group, and commit."""

        async def accept_all() -> list[Acceptance]:
            async with (
                await connect_async(self.database_url, application_name="test", timeouts=API) as connection,
                connection.transaction(),
            ):
                return await accept(connection, requests, lane_count=lane_count)

        return asyncio.run(accept_all())

    def accept_one(self, source_id: UUID, destination_id: UUID, amount: int) -> UUID:
        """Accept one transfer, and give its id."""
        (acceptance,) = self.accept([self.request(source_id, destination_id, amount)])
        assert isinstance(acceptance, Accepted), acceptance
        return acceptance.transfer.id

    def drain(self, *, lane: int = 1, holder: Holder | None = None) -> Drained:
        """Work a lane, as this process would or a new one."""
        holder = holder or Holder(id=new_id())
        return drain(self.connection, lane=lane, holder=holder, seconds_max=DRAIN_SECONDS_MAX)

    def balance(self, wallet_id: UUID) -> int:
        return self.value("SELECT balance FROM wallets WHERE id = %s", wallet_id)

    def ending(self, transfer_id: UUID) -> str | None:
        """Say how a transfer ended: `succeeded`, a failure code, or None if it has not."""
        return self.value(
            "SELECT coalesce(failure_code, 'succeeded') FROM events WHERE transfer_id = %s AND version = 2", transfer_id
        )

    def order_of_debits(self, wallet_id: UUID) -> list[UUID]:
        """List the transfers that left a wallet, in the order they were applied."""
        with self.connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(
                "SELECT transfer_id FROM entries WHERE wallet_id = %s AND amount < 0 ORDER BY number", (wallet_id,)
            )
            return [transfer_id for (transfer_id,) in cursor.fetchall()]

    def violations(self) -> list[dict[str, Any]]:
        """Audit the ledger."""
        return list(invariants.find_violations(self.connection))

    def value(self, statement: LiteralString, *arguments: object) -> Any:  # noqa: ANN401 (what the statement reads)
        """Read the first column of the first row, or None."""
        row = self.connection.execute(statement, arguments).fetchone()
        return None if row is None else row[0]
