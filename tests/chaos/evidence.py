"""Hold all that a chaos run is judged by: what clients saw, what the ledger has, what receivers heard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.chaos.history import Operation
from tests.load.checker import Balance, Entry, Row


class Movement(NamedTuple):
    """An entry of a wallet, with what the wallet held after it."""

    wallet: str
    number: int
    transfer_id: str
    balance_after: int


class Heard(NamedTuple):
    """A webhook as it was received.

    Attributes:
        person: Whose endpoint it came to.
        event_id: The header webhook-id.
        type: As the body has it, like `transfer_id` and `status`.
        verified: Whether its signature was good.
        acknowledged: Whether it was answered with a 2xx.
    """

    person: int
    event_id: str
    transfer_id: str
    type: str
    status: str
    body: bytes
    verified: bool
    acknowledged: bool


class Outage(NamedTuple):
    """When PostgreSQL was away, on the monotonic clock."""

    began_seconds: float
    ended_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known once all is quiet.

    Attributes:
        wallets: Of the people, by number.
        before: What wallets held when the run began.
        rows: Every transfer since then, in order of acceptance.
        batches: The ids of each batch, in order, by its key.
        audit: What the audit found, by the name of its check.
        sums: What was wrong with the sums of money during the run.
        looks: How often these were looked at.
        unsettled: What was still not accepted when there was no fault any more.
        heard: Every webhook.
        listening: The people who have an endpoint.
        exhausted: Deliveries that were given up: whose, and which transfer's.
        lists: What lists of transfers showed otherwise than the ledger has it, and how many were read.
        outages: Of PostgreSQL.
        unbounded: What did not come back to where it was, and how much was looked at.
        poisoned: Transfers that were made to kill whoever applies them.
    """

    operations: Sequence[Operation]
    wallets: Mapping[int, str]
    before: Mapping[str, Balance]
    rows: Sequence[Row]
    entries: Sequence[Entry]
    movements: Sequence[Movement]
    batches: Mapping[str, Sequence[str]]
    audit: Sequence[tuple[str, str]] = ()
    sums: Sequence[str] = ()
    looks: int = 0
    unsettled: Sequence[str] = ()
    heard: Sequence[Heard] = ()
    listening: frozenset[int] = frozenset()
    exhausted: frozenset[tuple[int, str]] = frozenset()
    lists: Sequence[str] = ()
    lists_read: int = 0
    outages: Sequence[Outage] = ()
    unbounded: Sequence[str] = ()
    bounds_checked: int = 0
    poisoned: frozenset[str] = field(default_factory=frozenset[str])
