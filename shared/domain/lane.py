"""Choose the lane of a transfer: all debits of one wallet share a lane, which is what keeps them in order."""

from typing import Final
from uuid import UUID

LANES_MAX: Final = 64


def lane_of(source_wallet_id: UUID, *, lane_count: int) -> int:
    """Choose the lane, 1 to `lane_count`, of transfers out of a wallet; lane 0 is nobody's.

    From the id's own bits and never from `hash()`, which is salted: two processes would disagree.
    """
    return 1 + source_wallet_id.int % lane_count
