"""Keep room: how much may wait to be accepted, so that a slow PostgreSQL does not fill the memory."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

SHARES: Final = 4
"""One owner may have one of them, so that the rest of the room is left to the others."""


@dataclass(slots=True, kw_only=True)
class _Taken:
    """What is taken of so much."""

    transfers_max: int
    bytes_max: int
    transfers: int = 0
    body_bytes: int = 0

    def leaves_room_for(self, transfers: int, body_bytes: int) -> bool:
        return self.transfers + transfers <= self.transfers_max and self.body_bytes + body_bytes <= self.bytes_max


class Room:
    """What may wait at once at one door to the queue of one process, in transfers and in bytes received."""

    def __init__(self, *, transfers_max: int, bytes_max: int) -> None:
        """Begin empty."""
        self.transfers_max: Final = transfers_max
        self.bytes_max: Final = bytes_max
        self._all = _Taken(transfers_max=transfers_max, bytes_max=bytes_max)
        # Of those alone who have something waiting, so never more than there are requests.
        self._by_owner: dict[UUID, _Taken] = {}

    @property
    def transfers(self) -> int:
        """Count the transfers that have taken room."""
        return self._all.transfers

    @property
    def body_bytes(self) -> int:
        """Count the bytes that have taken room."""
        return self._all.body_bytes

    def take(self, *, owner_id: UUID, transfers: int, body_bytes: int) -> bool:
        """Take room until it is given back, if there is any for this owner; say whether there was.

        Whoever comes first gets in, however much they bring, and so does the first request of each owner for whom there
        is room: a limit below the size of one batch delays batches and never shuts them out.
        """
        taken = self._by_owner.get(owner_id)
        if taken is not None and not taken.leaves_room_for(transfers, body_bytes):
            return False
        if self._by_owner and not self._all.leaves_room_for(transfers, body_bytes):
            return False
        if taken is None:
            taken = _Taken(transfers_max=self.transfers_max // SHARES, bytes_max=self.bytes_max // SHARES)
            self._by_owner[owner_id] = taken
        for counted in (taken, self._all):
            counted.transfers += transfers
            counted.body_bytes += body_bytes
        return True

    def give_back(self, *, owner_id: UUID, transfers: int, body_bytes: int) -> None:
        """Give back what was taken."""
        taken = self._by_owner[owner_id]
        for counted in (taken, self._all):
            counted.transfers -= transfers
            counted.body_bytes -= body_bytes
        assert taken.transfers >= 0
        assert taken.body_bytes >= 0
        if taken.transfers == 0:
            del self._by_owner[owner_id]
