"""Send everything side by side, kill the worker in the middle, and send some of it again to see what that does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from rich.console import Console

from hishab.answers import Transfer
from hishab.demo.payments import CURRENCY, NAMES, PAYMENTS, Payment, Sending
from hishab.demo.people import CONNECTIONS_EACH, Person
from hishab.demo.stage import Stage
from hishab.demo.story import INDENT, Story
from hishab.new_transfer import NewTransfer
from hishab.progress import Progress
from hishab.settling import settled
from hishab.side_by_side import for_each

KILL_AFTER: Final = PAYMENTS * 2 // 3
SENT_AGAIN_EVERY: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Which process was killed, when, and after how many accepted transfers."""

    pid: int
    at: datetime
    accepted_before: int


@dataclass(slots=True, kw_only=True)
class Sent:
    """What was accepted, by transfer and by key, and what was recognised when it was sent once more."""

    payments: dict[str, Payment] = field(default_factory=dict[str, Payment])
    ids: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    again: int = 0
    recognised: int = 0
    kill: Kill | None = None


async def send_all(
    wanted: Sequence[Sending], *, people: Sequence[Person], stage: Stage, story: Story, progress: Progress
) -> Sent:
    """Send everything, in batches and alone, and kill the lane worker when two thirds of it have been accepted.

    Raises:
        HishabError: As `Client` says.
    """
    sent = Sent()
    progress.begin(f"{INDENT}accepted", total=PAYMENTS)

    async def send(sending: Sending) -> None:
        sent.ids[sending.key], _ = await _accepted(sending, people=people)
        sent.payments.update(zip(sent.ids[sending.key], sending.payments, strict=True))
        progress.advance(len(sending.payments))
        if sent.kill is None and len(sent.payments) >= KILL_AFTER:
            sent.kill = _kill_worker(stage, story=story, accepted_before=len(sent.payments))

    await for_each(wanted, send, at_once_max=len(NAMES) * CONNECTIONS_EACH)
    return sent


async def send_again(wanted: Sequence[Sending], *, sent: Sent, people: Sequence[Person]) -> None:
    """Send some of it once more, as whoever lost an answer would, and note what was recognised.

    Raises:
        HishabError: As `Client` says.
    """

    async def send(sending: Sending) -> None:
        ids, replayed = await _accepted(sending, people=people)
        sent.again += len(ids)
        if replayed and list(ids) == list(sent.ids[sending.key]):
            sent.recognised += len(ids)

    await for_each(wanted[::SENT_AGAIN_EVERY], send, at_once_max=len(NAMES))


async def all_ended(sent: Sent, *, people: Sequence[Person]) -> dict[str, Transfer]:
    """Return every transfer, by id, once the system says that it has ended.

    Raises:
        HishabError: As `Client` says; patience has an end.
    """
    ended: dict[str, Transfer] = {}

    async def wait(person: Person) -> None:
        theirs = [transfer_id for transfer_id, payment in sent.payments.items() if payment.payer == person.number]
        # One bar for all of them, not one for each.
        ended.update(await settled(person.client, theirs, progress=Progress(Console(quiet=True))))

    await for_each(people, wait, at_once_max=len(people))
    return ended


def _kill_worker(stage: Stage, *, story: Story, accepted_before: int) -> Kill:
    # What is compared with it is dated by the clock too.
    kill = Kill(pid=stage.kill_worker(), at=datetime.now(UTC), accepted_before=accepted_before)  # noqa: TID251
    story.say(f"kill -9 {kill.pid}: that was the worker that moves the money.", style="bold yellow")
    return kill


async def _accepted(sending: Sending, *, people: Sequence[Person]) -> tuple[Sequence[str], bool]:
    """Return the ids of the transfers that a request stands for, and whether it had been accepted before."""
    client = people[sending.payer].client
    transfers = [_transfer(payment, people=people) for payment in sending.payments]
    if len(transfers) == 1:
        single = await client.submit(transfers[0], idempotency_key=sending.key)
        return [single.transfer.id], single.replayed
    batch = await client.submit_batch(transfers, idempotency_key=sending.key)
    return batch.batch.transfer_ids, batch.replayed


def _transfer(payment: Payment, *, people: Sequence[Person]) -> NewTransfer:
    return NewTransfer(
        amount_minor=payment.amount_minor,
        currency=CURRENCY,
        destination_wallet_id=people[payment.payee].wallet_id,
    )
