"""What happens when accepting outruns applying: new requests are turned away, and nothing that is in is lost."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from api.main import make_parts
from api.transfers.backlog import Backlog
from api.transfers.intake import GROUP_MAX, Doors, Intake
from api.transfers.room import Room
from shared.database.acceptance import accept
from shared.database.acceptance_at_once import accept_at_once
from shared.database.backlog import is_longer_than
from shared.database.engine import reading_engine
from shared.database.pool import intake_pool
from shared.domain.acceptance import Accepted, BatchRequest, Refused, TransferRequest
from shared.domain.errors import QueueUnavailable
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id
from shared.settings import ApiSettings
from tests.ledger import Ledger

pytestmark = pytest.mark.anyio

BACKLOG_MAX = 20


@asynccontextmanager
async def intake_before(ledger: Ledger) -> AsyncGenerator[tuple[Intake[TransferRequest, Accepted], Backlog]]:
    """Run an intake that watches its backlog until the block is left."""
    engine = reading_engine(ledger.database_url, pool_size=2)
    backlog = Backlog(engine, transfers_max=BACKLOG_MAX)
    watching = asyncio.create_task(backlog.run())
    async with intake_pool(ledger.database_url, size_max=4) as pool:
        doors = Doors(
            pool=pool,
            lane_count=1,
            is_full=backlog.is_full,
            wake_lane=lambda _: None,
        )
        intake = Intake(
            doors,
            room=Room(transfers_max=1_000, bytes_max=1_000_000),
            accept=accept,
            accept_at_once=accept_at_once,
            group_max=GROUP_MAX,
        )
        running = asyncio.create_task(intake.run())
        yield intake, backlog
        intake.stop()
        await running
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await engine.dispose()


async def until(holds: Callable[[], bool], *, meanwhile: Callable[[], Awaitable[object]]) -> None:
    """Do something over and over until it has an effect; pytest's timeout bounds that."""
    while not holds():
        await meanwhile()


async def test_a_queue_that_nobody_empties_is_not_filled_without_end(ledger: Ledger) -> None:
    source, destination = await asyncio.to_thread(ledger.wallet, holding=1_000_000), ledger.wallet()
    accepted: list[TransferRequest] = []

    async with intake_before(ledger) as (intake, backlog):

        async def send() -> None:
            request = ledger.request(source, destination, 1, key=str(new_id()))
            if isinstance(await intake.accept(request), Accepted):
                accepted.append(request)

        await until(backlog.is_full, meanwhile=send)
        assert len(accepted) > BACKLOG_MAX
        queued = ledger.value("SELECT count(*) FROM queue")
        new = ledger.request(source, destination, 1, key="new")
        refused = await intake.accept(new)
        assert isinstance(refused, Refused)
        assert isinstance(refused.reason, QueueUnavailable)
        replay = await intake.accept(accepted[0])
        assert isinstance(replay, Accepted)
        assert replay.replayed
        assert ledger.value("SELECT count(*) FROM queue") == queued == len(accepted)

        await asyncio.to_thread(ledger.drain)
        await until(lambda: not backlog.is_full(), meanwhile=lambda: asyncio.sleep(0.01))
        mended = await intake.accept(new)
        assert isinstance(mended, Accepted)
        assert not mended.replayed
    await asyncio.to_thread(ledger.drain)
    assert ledger.balance(destination) == len(accepted) + 1
    assert {ledger.ending(request.transfer_id) for request in accepted} == {"succeeded"}


async def test_places_that_nothing_took_are_not_counted(ledger: Ledger) -> None:
    source, destination = ledger.wallet(), ledger.wallet()
    await asyncio.to_thread(ledger.accept_one, source, destination, 1)
    ledger.connection.execute("SELECT setval('transfer_position', 1000000)")
    await asyncio.to_thread(ledger.accept_one, source, destination, 1)
    engine = reading_engine(ledger.database_url, pool_size=1)
    async with engine.connect() as tx:
        assert [await is_longer_than(tx, limit) for limit in (1, 2, 3)] == [True, False, False]
    await engine.dispose()


class TestRoom:
    def test_is_counted_in_transfers_and_in_bytes(self) -> None:
        room, owners = Room(transfers_max=10, bytes_max=1_000), [new_id() for _ in range(4)]
        assert room.take(owner_id=owners[0], transfers=9, body_bytes=500)
        assert not room.take(owner_id=owners[1], transfers=2, body_bytes=1)
        assert not room.take(owner_id=owners[2], transfers=1, body_bytes=501)
        assert room.take(owner_id=owners[3], transfers=1, body_bytes=500)
        room.give_back(owner_id=owners[0], transfers=9, body_bytes=500)
        assert room.take(owner_id=owners[1], transfers=9, body_bytes=500)

    def test_whoever_finds_it_empty_gets_in(self) -> None:
        room, one, other = Room(transfers_max=10, bytes_max=1_000), new_id(), new_id()
        assert room.take(owner_id=one, transfers=1_000, body_bytes=1_000_000)
        assert not room.take(owner_id=other, transfers=1, body_bytes=1)
        room.give_back(owner_id=one, transfers=1_000, body_bytes=1_000_000)
        assert room.take(owner_id=other, transfers=1, body_bytes=1)

    def test_one_owner_has_a_quarter_of_it_and_the_rest_is_for_others(self) -> None:
        room, one, other = Room(transfers_max=40, bytes_max=4_000), new_id(), new_id()
        assert room.take(owner_id=one, transfers=8, body_bytes=800)
        assert not room.take(owner_id=one, transfers=3, body_bytes=1)
        assert not room.take(owner_id=one, transfers=1, body_bytes=201)
        assert room.take(owner_id=one, transfers=2, body_bytes=200)
        assert room.take(owner_id=other, transfers=10, body_bytes=1_000)
        room.give_back(owner_id=one, transfers=8, body_bytes=800)
        assert room.take(owner_id=one, transfers=8, body_bytes=800)

    async def test_of_transfers_is_not_taken_by_batches(self, ledger: Ledger, api_settings: ApiSettings) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        few = api_settings.model_copy(update={"intake_waiting_max": 1})
        parts = make_parts(few, lane_count=1)
        transfer = ledger.request(source, destination, 1)
        batch = BatchRequest(
            batch_id=new_id(), owner_id=OPERATORS_OWNER_ID, idempotency_key="k", fingerprint=b"", transfers=[transfer]
        )
        # Nothing is taken out of either room before the intakes run, which they do not here.
        first = asyncio.create_task(parts.batch_intake.accept(batch))
        single = asyncio.create_task(parts.intake.accept(transfer))
        await asyncio.sleep(0)
        refused = await parts.batch_intake.accept(batch)
        assert isinstance(refused, Refused)
        assert not single.done()
        assert not first.done()
        for task in (first, single):
            task.cancel()
        await asyncio.to_thread(parts.wake_ups.stop)
