"""What intake promises: an answer is a committed row, a key has one effect, and each request's trouble is its own."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
import structlog

from api.server import raise_file_limit
from api.transfers.intake import GROUP_MAX, SHARE_MAX, Doors, Intake
from api.transfers.room import Room
from shared.database.acceptance import accept
from shared.database.acceptance_at_once import accept_at_once
from shared.database.connections import (
    API,
    AUDIT,
    INTAKE,
    INTAKE_NAME,
    connect,
    connect_async,
    has_hung_up,
)
from shared.database.pool import TRUSTED_SECONDS, Pool, intake_pool
from shared.domain.acceptance import Acceptance, Accepted, Refused, TransferRequest
from shared.domain.errors import (
    CurrencyMismatch,
    DestinationUnknown,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    OutcomeUnknown,
    QueueUnavailable,
    SameWallet,
    WalletNotFound,
)
from shared.domain.lane import lane_of
from shared.identifiers import new_id
from tests.eventually import eventually
from tests.ledger import Ledger

pytestmark = pytest.mark.anyio

TransferIntake = Intake[TransferRequest, Accepted]

COUNT_INTAKES: LiteralString = """
SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hishab-intake' AND datname = current_database()
"""

COUNT_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'hishab-intake' AND datname = current_database() AND wait_event_type = 'Lock'
"""


@asynccontextmanager
async def intake_on(
    ledger: Ledger,
    *,
    woken: list[int] | None = None,
    waiting_max: int = 1_000,
    is_full: bool = False,
    lane_count: int = 1,
    trusted_seconds: float = TRUSTED_SECONDS,
    beside_min: int | None = None,
    own_pool: Pool | None = None,
) -> AsyncGenerator[TransferIntake]:
    """Run an intake until the block is left."""
    async with own_pool or intake_pool(ledger.database_url, size_max=4, trusted_seconds=trusted_seconds) as pool:
        wakes: list[int] = [] if woken is None else woken
        doors = Doors(
            pool=pool,
            lane_count=lane_count,
            is_full=lambda: is_full,
            wake_lane=wakes.append,
        )
        intake = Intake(
            doors,
            room=Room(transfers_max=waiting_max, bytes_max=1_000_000),
            accept=accept,
            accept_at_once=accept_at_once,
            group_max=GROUP_MAX,
            beside_min=beside_min,
        )
        running = asyncio.create_task(intake.run())
        yield intake
        intake.stop()
        await running


def patient_pool(ledger: Ledger) -> Pool:
    """Make the pool of an intake whose statements wait for a key for as long as a test may be held up."""
    timeouts = replace(INTAKE, statement_seconds=60, lock_seconds=60)
    return Pool(lambda: connect_async(ledger.database_url, application_name=INTAKE_NAME, timeouts=timeouts), size_max=4)


async def accept_all(intake: TransferIntake, requests: Sequence[TransferRequest]) -> list[Acceptance]:
    return await asyncio.gather(*(intake.accept(request) for request in requests))


def codes(acceptances: Sequence[Acceptance]) -> list[type | None]:
    return [type(a.reason) if isinstance(a, Refused) else None for a in acceptances]


@contextmanager
def key_held(ledger: Ledger, key: str, source_id: UUID, destination_id: UUID) -> Generator[None]:
    """Have a request with this key under way elsewhere, which comes to nothing when the block is left."""
    with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction() as held:
        other.execute(
            "INSERT INTO transfers (id, position, owner_id, destination_owner_id, source_wallet_id,"
            " destination_wallet_id, amount, currency, idempotency_key, fingerprint, created_at)"
            " SELECT %s, 1000000, owner_id, owner_id, %s, %s, 1, currency, %s, '', now() FROM wallets WHERE id = %s",
            (new_id(), source_id, destination_id, key, source_id),
        )
        yield
        raise psycopg.Rollback(held)


async def held_write(
    intake: TransferIntake, request: TransferRequest, *, ledger: Ledger, count: int = 1
) -> asyncio.Task[Acceptance]:
    """Ask for a transfer whose key is held elsewhere; its write, the `count`th of such, waits for that from now on."""
    held = asyncio.create_task(intake.accept(request))
    while ledger.value(COUNT_WAITING) < count:
        await asyncio.sleep(0.01)
    return held


class TestAccept:
    async def test_answers_when_the_row_is_committed_and_wakes_the_lane(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        woken: list[int] = []
        async with intake_on(ledger, woken=woken) as intake:
            acceptance = await intake.accept(ledger.request(source, destination, 5, key="k"))
            assert isinstance(acceptance, Accepted)
            assert ledger.value("SELECT amount FROM queue WHERE transfer_id = %s", acceptance.transfer.id) == 5
        assert woken == [1]

    async def test_numbers_requests_in_order_of_arrival(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger) as intake:
            # Keys in descending order: rows are written by key, places are given by arrival.
            acceptances = await accept_all(
                intake, [ledger.request(source, destination, 1, key=f"k{n:03}") for n in range(99, -1, -1)]
            )
        positions = [a.transfer.position for a in acceptances if isinstance(a, Accepted)]
        assert len(positions) == 100
        assert positions == sorted(positions)

    async def test_each_request_gets_its_own_answer(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        euro = ledger.value("SELECT id FROM wallets WHERE kind = 'issuance' AND currency = 'EUR'")
        async with intake_on(ledger) as intake:
            acceptances = await accept_all(
                intake,
                [
                    ledger.request(source, destination, 1, key="good"),
                    ledger.request(new_id(), destination, 1, key="no source"),
                    ledger.request(source, new_id(), 1, key="no destination"),
                    ledger.request(source, source, 1, key="same"),
                    ledger.request(source, euro, 1, key="currency"),
                ],
            )
        assert codes(acceptances) == [None, WalletNotFound, DestinationUnknown, SameWallet, CurrencyMismatch]
        assert ledger.value("SELECT count(*) FROM transfers") == 1

    @pytest.mark.parametrize("lane_count", [1, 2, 3, 7, 64])
    async def test_puts_each_into_the_lane_of_its_source(self, ledger: Ledger, lane_count: int) -> None:
        sources, destination = [ledger.wallet() for _ in range(20)], ledger.wallet()
        async with intake_on(ledger, lane_count=lane_count) as intake:
            await accept_all(intake, [ledger.request(source, destination, 1) for source in sources])
        for source in sources:
            lane = ledger.value("SELECT lane FROM queue WHERE source_wallet_id = %s", source)
            assert lane == lane_of(source, lane_count=lane_count)

    async def test_a_refusal_leaves_the_key_free(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger) as intake:
            refused = await intake.accept(ledger.request(source, new_id(), 1, key="k"))
            mended = await intake.accept(ledger.request(source, destination, 1, key="k"))
        assert isinstance(refused, Refused)
        assert isinstance(mended, Accepted)
        assert not mended.replayed


class TestIdempotency:
    async def test_a_key_has_one_effect_in_one_group_and_over_processes(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        requests = [ledger.request(source, destination, 5, key="k") for _ in range(50)]
        async with intake_on(ledger) as one, intake_on(ledger) as other:
            acceptances = await accept_all(one, requests[:25])
            acceptances += await asyncio.gather(
                *(intake.accept(request) for intake, request in zip([one, other] * 13, requests[25:], strict=False))
            )
        assert all(isinstance(a, Accepted) for a in acceptances)
        assert len({a.transfer for a in acceptances if isinstance(a, Accepted) and not a.replayed}) == 1
        assert ledger.value("SELECT count(*) FROM transfers") == 1
        assert ledger.value("SELECT count(*) FROM queue") == 1

    async def test_two_processes_with_the_same_keys_in_opposite_order_wait_instead_of_deadlocking(
        self, ledger: Ledger
    ) -> None:
        source, destination = ledger.wallet(), ledger.wallet()

        def requests(order: Sequence[int]) -> list[TransferRequest]:
            return [ledger.request(source, destination, n + 1, key=f"k{n}") for n in order]

        async with (
            intake_on(ledger, own_pool=patient_pool(ledger)) as one,
            intake_on(ledger, own_pool=patient_pool(ledger)) as other,
        ):
            with structlog.testing.capture_logs() as logs:
                with key_held(ledger, "k1", source, destination):
                    # Each has written what comes before k1 in its own order, and waits.
                    both = asyncio.gather(accept_all(one, requests([0, 1, 2])), accept_all(other, requests([2, 1, 0])))
                    while ledger.value(COUNT_WAITING) < 2:
                        await asyncio.sleep(0.01)
                acceptances = [acceptance for group in await both for acceptance in group]
        assert all(isinstance(a, Accepted) for a in acceptances)
        assert ledger.value("SELECT count(*) FROM transfers") == 3
        assert [entry for entry in logs if entry["event"] == "intake.deadlock"] == []

    async def test_a_key_with_another_request_is_refused(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger) as intake:
            await intake.accept(ledger.request(source, destination, 5, key="k"))
            again = await intake.accept(ledger.request(source, destination, 6, key="k"))
        assert codes([again]) == [IdempotencyKeyReused]

    async def test_a_key_whose_request_is_under_way_elsewhere_holds_up_nobody_else(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        with key_held(ledger, "held", source, destination):
            async with intake_on(ledger) as intake:
                acceptances = await accept_all(
                    intake, [ledger.request(source, destination, 1, key=key) for key in ("free", "held", "free too")]
                )
        assert codes(acceptances) == [None, IdempotencyKeyInUse, None]


class TestSecondWrite:
    async def test_enough_that_wait_are_written_beside_a_write_under_way(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger, beside_min=3, own_pool=patient_pool(ledger)) as intake:
            with key_held(ledger, "held", source, destination):
                held = await held_write(intake, ledger.request(source, destination, 1, key="held"), ledger=ledger)
                beside = await accept_all(
                    intake, [ledger.request(source, destination, 1, key=f"k{n}") for n in range(3)]
                )
                assert not held.done()
            assert codes([*beside, await held]) == [None] * 4

    async def test_fewer_wait_for_it_and_are_written_when_told_to_stop(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger, beside_min=3, own_pool=patient_pool(ledger)) as intake:
            with key_held(ledger, "held", source, destination):
                requests = [ledger.request(source, destination, 1, key=key) for key in ("held", "k1", "k2")]
                held = await held_write(intake, requests[0], ledger=ledger)
                waiting = [asyncio.create_task(intake.accept(request)) for request in requests[1:]]
                while intake.room.transfers < len(requests):
                    await asyncio.sleep(0)
                intake.stop()
                assert not any(task.done() for task in waiting)
            assert codes(await asyncio.gather(held, *waiting)) == [None] * 3

    async def test_a_write_leaves_what_is_beyond_its_share_to_the_next(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger, beside_min=3, own_pool=patient_pool(ledger)) as intake:
            with key_held(ledger, "held", source, destination):
                held = await held_write(intake, ledger.request(source, destination, 1, key="held"), ledger=ledger)
                await accept_all(intake, [ledger.request(source, destination, 1) for _ in range(SHARE_MAX + 5)])
                assert (sum(intake.figures.group_sizes.counts), intake.figures.group_sizes.total) == (2, SHARE_MAX + 5)
            await held

    async def test_the_last_that_may_begin_takes_all_that_waits(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger, beside_min=1, own_pool=patient_pool(ledger)) as intake:
            with key_held(ledger, "held", source, destination):
                held = [
                    await held_write(
                        intake, ledger.request(source, destination, 1, key="held"), ledger=ledger, count=count
                    )
                    for count in (1, 2)
                ]
                await accept_all(intake, [ledger.request(source, destination, 1) for _ in range(SHARE_MAX + 5)])
                assert (sum(intake.figures.group_sizes.counts), intake.figures.group_sizes.total) == (1, SHARE_MAX + 5)
            await asyncio.gather(*held)


class TestTrouble:
    async def test_beyond_their_share_callers_are_told_to_come_back(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger, waiting_max=40) as intake:
            acceptances = await accept_all(intake, [ledger.request(source, destination, 1) for _ in range(30)])
        accepted = sum(isinstance(a, Accepted) for a in acceptances)
        assert accepted == 10
        assert codes(acceptances).count(QueueUnavailable) == 20
        assert ledger.value("SELECT count(*) FROM queue") == accepted

    async def test_a_table_that_is_locked_is_not_a_key_in_use(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        requests = [ledger.request(source, destination, 1, key=f"k{n}") for n in range(3)]
        async with intake_on(ledger) as intake:
            with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction():
                other.execute("LOCK TABLE transfers IN ACCESS EXCLUSIVE MODE")
                refused = await accept_all(intake, requests)
            mended = await accept_all(intake, requests)
        assert codes(refused) == [QueueUnavailable] * 3
        assert [isinstance(a, Accepted) and not a.replayed for a in mended] == [True] * 3

    async def test_a_connection_lost_under_way_is_said_to_be_and_the_same_request_goes_through(
        self, ledger: Ledger
    ) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        ledger.connection.execute(
            "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
        )
        ledger.connection.execute(
            "CREATE TRIGGER end_session BEFORE INSERT ON queue FOR EACH ROW EXECUTE FUNCTION end_session()"
        )
        async with intake_on(ledger) as intake:
            lost = await intake.accept(ledger.request(source, destination, 1, key="k"))
        assert codes([lost]) == [OutcomeUnknown]
        assert ledger.value("SELECT count(*) FROM transfers") == 0
        ledger.connection.execute("DROP TRIGGER end_session ON queue")
        async with intake_on(ledger) as intake:
            again = await intake.accept(ledger.request(source, destination, 1, key="k"))
        assert isinstance(again, Accepted)

    async def test_serves_at_once_when_the_database_does_again(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger) as intake:
            await intake.accept(ledger.request(source, destination, 1, key="before"))
            ledger.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hishab-intake'"
                " AND datname = current_database()"
            )
            await asyncio.to_thread(eventually, lambda: ledger.value(COUNT_INTAKES) == 0)
            after = await intake.accept(ledger.request(source, destination, 1, key="after"))
        assert isinstance(after, Accepted)

    async def test_a_connection_that_was_hung_up_on_is_known_beside_a_thousand_open_files(self, ledger: Ledger) -> None:
        raise_file_limit()
        many = [os.dup(0) for _ in range(1_100)]
        try:
            async with await connect_async(ledger.database_url, application_name="lost", timeouts=API) as connection:
                assert not has_hung_up(connection)
                ledger.connection.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
                await asyncio.to_thread(eventually, lambda: has_hung_up(connection))
        finally:
            for descriptor in many:
                os.close(descriptor)

    async def test_does_not_wait_for_a_server_that_is_frozen(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger, trusted_seconds=0) as intake:
            await intake.accept(ledger.request(source, destination, 1, key="before"))
            frozen = ledger.value(
                "SELECT array_agg(pid) FROM pg_stat_activity"
                " WHERE application_name = 'hishab-intake' AND datname = current_database()"
            )
            try:
                for pid in frozen:
                    os.kill(pid, signal.SIGSTOP)
                after = await intake.accept(ledger.request(source, destination, 1, key="after"))
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
        assert isinstance(after, Accepted)

    async def test_a_read_only_server_is_no_defect_of_ours(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        ledger.connection.execute(
            "DO $$ BEGIN"
            " EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());"
            " END $$"
        )
        async with intake_on(ledger) as intake:
            refused = await intake.accept(ledger.request(source, destination, 1, key="k"))
        assert codes([refused]) == [QueueUnavailable]

    async def test_a_caller_who_goes_away_does_not_stop_the_write(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger) as intake:
            leaving = asyncio.create_task(intake.accept(ledger.request(source, destination, 1, key="k")))
            await asyncio.sleep(0)
            leaving.cancel()
            replay = await intake.accept(ledger.request(source, destination, 1, key="k"))
        assert isinstance(replay, Accepted)
        assert replay.replayed
