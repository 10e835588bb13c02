"""Hold what a simulation has in common: the database, what it should know, the broker's messages, the time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, LiteralString
from uuid import UUID

from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import first_id
from tests.clerk import Balance, Clerk
from tests.ledger import CURRENCY, Ledger
from tests.load.checker import Sent
from tests.simulation.model import Complaint, Invariant, Known, Model

LANE: Final = 1
ANN, BEN = UUID(int=101), UUID(int=102)
OPERATORS_FIRST, OPERATORS_SECOND, ANNS, BENS = (UUID(int=n) for n in (11, 12, 13, 14))
WALLETS: Final[Mapping[UUID, UUID]] = {
    OPERATORS_FIRST: OPERATORS_OWNER_ID,
    OPERATORS_SECOND: OPERATORS_OWNER_ID,
    ANNS: ANN,
    BENS: BEN,
}
OPERATORS_ENDPOINT, BENS_ENDPOINT = UUID(int=21), UUID(int=22)
ENDPOINTS: Final[Mapping[UUID, UUID]] = {OPERATORS_ENDPOINT: OPERATORS_OWNER_ID, BENS_ENDPOINT: BEN}

OPEN_WALLET: LiteralString = """
INSERT INTO wallets (id, owner_id, kind, currency, external_id, balance, floor, entry_count, created_at)
VALUES (%(id)s, %(owner)s, %(kind)s, %(currency)s, %(name)s, 0, 0, 0, now())
"""
REGISTER: LiteralString = """
INSERT INTO webhook_endpoints (id, owner_id, url, secret_encrypted, place, created_at)
VALUES (%s, %s, 'https://receiver.example/', '', 1, now())
"""


@dataclass(slots=True, kw_only=True)
class World:
    """What everybody in a simulation stands in.

    Attributes:
        wake_ups: The messages that are on their way: the numbers of lanes.
        are_lost: Some of them may have been, or were never sent because somebody died: then only a sweep helps.
        is_draining: Somebody works a lane at this moment.
        sent: What was answered with a 202, for the checker.
        now: The time as our own clock tells it; it may step.
    """

    database_url: str
    books: Ledger
    model: Model
    complaints: list[Complaint] = field(default_factory=list[Complaint])
    wake_ups: list[int] = field(default_factory=list[int])
    are_lost: bool = False
    is_draining: bool = False
    sent: list[Sent] = field(default_factory=list[Sent])
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    ticks: int = 0
    ids: int = 0

    def tick(self) -> int:
        """Count one more moment."""
        self.ticks += 1
        return self.ticks

    def new_id(self) -> UUID:
        """Mint an id as a process does whose clock says it is now: a UUIDv7, the same in each run."""
        self.ids += 1
        return UUID(int=first_id(self.now).int | 7 << 76 | 2 << 62 | self.ids)

    def complain(self, invariant: Invariant, what: str) -> None:
        """Say what does not hold."""
        self.complaints.append(Complaint(invariant, what))

    def accept(self, known: Known) -> None:
        """Note a transfer that was accepted."""
        known.is_meanwhile = self.is_draining
        self.model.accept(known)

    def count(self, statement: LiteralString, key: UUID) -> int:
        """Count rows with an id."""
        return int(self.books.value(statement, key))


def new_world(database_url: str) -> World:
    """Open wallets and endpoints in a database that is empty."""
    books = Ledger.on(database_url)
    open_wallets(books, WALLETS)
    for endpoint, owner in ENDPOINTS.items():
        books.connection.execute(REGISTER, (endpoint, owner))
    owners = {**WALLETS, books.issuance_id: OPERATORS_OWNER_ID}
    opening = {wallet: Balance(0, 0 if wallet in WALLETS else None) for wallet in owners}
    model = Model(owners=owners, listeners=ENDPOINTS, clerk=Clerk(opening=opening))
    return World(database_url=database_url, books=books, model=model)


def open_wallets(books: Ledger, wallets: Mapping[UUID, UUID]) -> None:
    """Open wallets that are their owners', with these very ids."""
    for wallet, owner in wallets.items():
        is_operators = owner == OPERATORS_OWNER_ID
        row = {"id": wallet, "owner": owner, "currency": CURRENCY, "name": str(wallet) if is_operators else None}
        books.connection.execute(OPEN_WALLET, {**row, "kind": "operator" if is_operators else "personal"})
