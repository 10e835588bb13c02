"""Name what credentials may do: each operation needs one of these, and a key is given some of them."""

from collections.abc import Iterable
from typing import Final

TRANSFERS_READ: Final = "transfers:read"
TRANSFERS_WRITE: Final = "transfers:write"
WALLETS_READ: Final = "wallets:read"
WEBHOOKS_MANAGE: Final = "webhooks:manage"
EVENTS_READ: Final = "events:read"

KEYS_MANAGE: Final = "keys:manage"
"""Never given to a key: one that leaked would otherwise outlive being revoked, in the keys that were made with it."""

OPERATOR: Final = "operator"
"""The scope of those who run the system. It implies all the others."""

OF_PERSONS: Final = frozenset(
    {TRANSFERS_READ, TRANSFERS_WRITE, WALLETS_READ, WEBHOOKS_MANAGE, EVENTS_READ, KEYS_MANAGE}
)
"""What a person's own token may do."""

DESCRIPTIONS: Final = {
    TRANSFERS_READ: "look at transfers",
    TRANSFERS_WRITE: "send transfers and open wallets",
    WALLETS_READ: "look at wallets, their entries and whose they are",
    WEBHOOKS_MANAGE: "add, change, test and delete webhook endpoints, and have deliveries sent again",
    EVENTS_READ: "read the feed of events",
    KEYS_MANAGE: "make, list and delete API keys; carried by tokens, never by a key of a person",
    OPERATOR: "run the system; implies all the others",
}


def implied(scopes: Iterable[str]) -> frozenset[str]:
    """Say what somebody with these scopes may do."""
    given = frozenset(scopes)
    return given | OF_PERSONS if OPERATOR in given else given
