"""Look at the system as its operators do: what a defect of ours has ended, and how the lanes get on."""

from collections.abc import AsyncGenerator

from hishab import lists
from hishab.answers import Lane, Page, UnprocessableTransfer
from hishab.sending import Request, Sender, parse


class Operations:
    """What operators alone may ask of one Hishab. Made by `Client`, whose errors these calls raise."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def iterate_unprocessable(self) -> AsyncGenerator[UnprocessableTransfer]:
        """Yield what a defect of Hishab's has ended, newest first. No money moved."""
        return lists.items(self._sender, "/v1/system/unprocessable-transfers", Page[UnprocessableTransfer])

    async def lanes(self) -> list[Lane]:
        """Return how each lane gets on."""
        return parse(await self._sender.send(Request(path="/v1/system/lanes")), Page[Lane]).data

    async def start_lane(self, lane: int) -> Lane:
        """Let a lane that a defect has stopped go on; one that goes on already is left as it is."""
        return parse(await self._sender.send(Request(method="POST", path=f"/v1/system/lanes/{lane}/start")), Lane)
