"""Find the wallets that a file of payments names, before anything is sent."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hishab.client import Client
from hishab.csv_file import Fault, MalformedFileError
from hishab.payment_file import Order, idempotency_key, occurrences
from hishab.side_by_side import for_each
from hishab.wallet_file import EXTERNAL_ID_CHARACTERS_MAX

_WALLET_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """An order of one run and the ids of its wallets; the `occurrence`-eth of those that look the same."""

    run: str
    order: Order
    occurrence: int
    source_wallet_id: str
    destination_wallet_id: str

    def idempotency_key(self, *, beyond: int = 0) -> str:
        """Return the key it is sent under, or that of the one which is `beyond` it among those that look the same."""
        return idempotency_key(self.order, run=self.run, occurrence=self.occurrence + beyond)


async def address(orders: Sequence[Order], *, client: Client, run: str, path: Path) -> list[Payment]:
    """Return the orders with wallet ids in the place of what the file says.

    A name is looked for among the caller's own external ids first, then taken as an id. Whether an id that is not the
    caller's own can be paid to is for the server to say.

    Raises:
        MalformedFileError: Some rows name wallets that are not there; each is named.
        HishabError: As `Client` says.
    """
    own = await _own_wallets(client, orders)
    payments: list[Payment] = []
    faults: list[Fault] = []
    for order, occurrence in zip(orders, occurrences(orders), strict=True):
        source_wallet_id = own.get(order.source)
        destination_wallet_id = own.get(order.destination) or _as_wallet_id(order.destination)
        if source_wallet_id is None:
            faults.append(order.fault(f"{order.source[:40]!r} is none of your wallets", column="source"))
        if destination_wallet_id is None:
            faults.append(order.fault(f"{order.destination[:40]!r} is no wallet", column="destination"))
        if source_wallet_id and destination_wallet_id:
            payment = Payment(
                run=run,
                order=order,
                occurrence=occurrence,
                source_wallet_id=source_wallet_id,
                destination_wallet_id=destination_wallet_id,
            )
            payments.append(payment)
    if faults:
        raise MalformedFileError(path, faults=faults)
    return payments


async def _own_wallets(client: Client, orders: Sequence[Order]) -> Mapping[str, str]:
    """Return the ids of the caller's own wallets by what the file calls them."""
    names = _unique(name for order in orders for name in (order.source, order.destination))
    # Longer ones the server would not look up; it would refuse the question, and with it the good names.
    names = [name for name in names if len(name) <= EXTERNAL_ID_CHARACTERS_MAX]
    own = {wallet.external_id: wallet.id for wallet in await client.wallets(names) if wallet.external_id}

    async def look_up(name: str) -> None:
        wallet = await client.find_wallet(name.lower())
        if wallet is not None:
            own[name] = wallet.id

    unnamed = _unique(order.source for order in orders if order.source not in own and _as_wallet_id(order.source))
    await for_each(unnamed, look_up, at_once_max=client.connections_max)
    return own


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _as_wallet_id(name: str) -> str | None:
    return name.lower() if _WALLET_ID.fullmatch(name) else None
