"""Keep room: how much may wait to be accepted, so that a slow PostgreSQL does not fill the memory."""


class Room:
    """What may wait at once in one process, over all doors to the queue, in transfers and in bytes received."""

    def __init__(self, *, transfers_max: int, bytes_max: int) -> None:
        """Begin empty."""
        self._transfers_max = transfers_max
        self._bytes_max = bytes_max
        self._transfers = 0
        self._bytes = 0

    def take(self, *, transfers: int, body_bytes: int) -> bool:
        """Take room until it is given back, if there is any; say whether there was.

        Whoever comes first gets in, however much they bring: a limit below the size of one batch delays batches and
        never shuts them out.
        """
        fits = self._transfers + transfers <= self._transfers_max and self._bytes + body_bytes <= self._bytes_max
        if self._transfers > 0 and not fits:
            return False
        self._transfers += transfers
        self._bytes += body_bytes
        return True

    def give_back(self, *, transfers: int, body_bytes: int) -> None:
        """Give back what was taken."""
        self._transfers -= transfers
        self._bytes -= body_bytes
        assert self._transfers >= 0
        assert self._bytes >= 0
