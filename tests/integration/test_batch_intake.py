"""What accepting batches promises: all or none, in the order sent, once a key, and each batch's trouble its own."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest

from api.transfers.intake import BATCH_GROUP_MAX, Doors, Intake
from api.transfers.room import Room
from shared.database.batch_acceptance import accept_batches
from shared.database.connections import AUDIT, connect
from shared.database.pool import intake_pool
from shared.domain.acceptance import AcceptedBatch, BatchAcceptance, BatchRequest, Refused, TransferRequest
from shared.domain.errors import (
    BatchInvalid,
    CurrencyMismatch,
    DestinationUnknown,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    QueueUnavailable,
    SameWallet,
    WalletNotFound,
)
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id
from tests.ledger import Ledger

pytestmark = pytest.mark.anyio

BatchIntake = Intake[BatchRequest, AcceptedBatch]


@asynccontextmanager
async def intake_on(
    ledger: Ledger, *, woken: list[int] | None = None, waiting_max: int = 10_000, is_full: bool = False
) -> AsyncGenerator[BatchIntake]:
    """Run an intake of batches until the block is left."""
    async with intake_pool(ledger.database_url, size_max=4) as pool:
        doors = Doors(
            pool=pool,
            lane_count=1,
            is_full=lambda: is_full,
            wake_lane=([] if woken is None else woken).append,
        )
        intake = Intake(
            doors,
            room=Room(transfers_max=waiting_max, bytes_max=1_000_000),
            accept=accept_batches,
            group_max=BATCH_GROUP_MAX,
        )
        running = asyncio.create_task(intake.run())
        yield intake
        intake.stop()
        await running


def batch(transfers: Sequence[TransferRequest], *, key: str) -> BatchRequest:
    """Ask for transfers together; the same ones have the same fingerprint."""
    asked = [f"{t.source_wallet_id} {t.destination_wallet_id} {t.amount_minor} {t.currency}" for t in transfers]
    return BatchRequest(
        batch_id=new_id(),
        owner_id=OPERATORS_OWNER_ID,
        idempotency_key=key,
        fingerprint="\n".join(asked).encode(),
        transfers=transfers,
    )


def accepted(acceptance: BatchAcceptance) -> AcceptedBatch:
    assert isinstance(acceptance, AcceptedBatch), acceptance
    return acceptance


def refusal(acceptance: BatchAcceptance) -> type:
    assert isinstance(acceptance, Refused)
    return type(acceptance.reason)


class TestAccept:
    async def test_answers_when_all_rows_are_committed_and_wakes_the_lane(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        transfers = [ledger.request(source, destination, amount) for amount in range(1, 101)]
        woken: list[int] = []
        async with intake_on(ledger, woken=woken) as intake:
            acceptance = accepted(await intake.accept(batch(transfers, key="k")))
            assert ledger.value("SELECT array_agg(amount ORDER BY position) FROM queue") == list(range(1, 101))
        assert acceptance.batch.transfer_ids == tuple(transfer.transfer_id for transfer in transfers)
        assert ledger.value("SELECT count(*) FROM transfers WHERE batch_id = %s", acceptance.batch.id) == 100
        assert woken == [1]

    async def test_accepts_nothing_and_names_every_transfer_that_is_not_valid(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        euro = ledger.value("SELECT id FROM wallets WHERE kind = 'issuance' AND currency = 'EUR'")
        transfers = [
            ledger.request(source, destination, 1),
            ledger.request(new_id(), destination, 1),
            ledger.request(source, new_id(), 1),
            ledger.request(source, destination, 1),
            ledger.request(source, source, 1),
            ledger.request(source, euro, 1),
        ]
        async with intake_on(ledger) as intake:
            refused = await intake.accept(batch(transfers, key="k"))
            mended = await intake.accept(batch(transfers[:1], key="k"))
        assert isinstance(refused, Refused)
        assert isinstance(refused.reason, BatchInvalid)
        assert {place: type(reason) for place, reason in refused.reason.items.items()} == {
            1: WalletNotFound,
            2: DestinationUnknown,
            4: SameWallet,
            5: CurrencyMismatch,
        }
        assert not accepted(mended).replayed
        assert ledger.value("SELECT count(*) FROM transfers") == 1

    async def test_a_batch_that_is_refused_takes_no_other_with_it(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        batches = [
            batch([ledger.request(source, destination if n % 2 else new_id(), n + 1)], key=f"k{n}") for n in range(10)
        ]
        async with intake_on(ledger) as intake:
            acceptances = await asyncio.gather(*(intake.accept(asked) for asked in batches))
        assert [isinstance(acceptance, AcceptedBatch) for acceptance in acceptances] == [False, True] * 5
        assert ledger.value("SELECT array_agg(amount ORDER BY position) FROM queue") == [2, 4, 6, 8, 10]

    async def test_batches_larger_than_a_group_are_written_too(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        sizes = [2, BATCH_GROUP_MAX + 1, 1]
        batches = [
            batch([ledger.request(source, destination, 1) for _ in range(size)], key=f"k{size}") for size in sizes
        ]
        async with intake_on(ledger) as intake:
            acceptances = await asyncio.gather(*(intake.accept(asked) for asked in batches))
        assert [len(accepted(a).batch.transfer_ids) for a in acceptances] == sizes


class TestOrder:
    async def test_outcomes_equal_those_of_one_clerk_who_works_in_the_order_sent(self, ledger: Ledger) -> None:
        chance = random.Random(20261122)
        wallets = [ledger.wallet() for _ in range(5)]
        balances = dict.fromkeys(wallets, 100)
        asked: list[list[TransferRequest]] = []
        for _ in range(6):
            ends = [chance.sample(wallets, 2) for _ in range(chance.randint(1, 120))]
            asked.append([ledger.request(source, to, chance.randint(1, 90)) for source, to in ends])
        async with intake_on(ledger) as intake:
            await intake.accept(batch([ledger.request(ledger.issuance_id, w, 100) for w in wallets], key="grants"))
            # The one is accepted before the next is sent, so all of them have one order.
            for n, transfers in enumerate(asked):
                accepted(await intake.accept(batch(transfers, key=f"k{n}")))
        ledger.drain()
        endings = [clerk(transfer, balances=balances) for transfers in asked for transfer in transfers]
        assert {"succeeded", "insufficient_funds"} == set(endings)
        assert [ledger.ending(t.transfer_id) for transfers in asked for t in transfers] == endings
        assert {wallet: ledger.balance(wallet) for wallet in wallets} == balances
        for wallet in wallets:
            sent = [t.transfer_id for transfers in asked for t in transfers if t.source_wallet_id == wallet]
            assert ledger.order_of_debits(wallet) == [i for i in sent if ledger.ending(i) == "succeeded"]
        assert ledger.violations() == []


def clerk(transfer: TransferRequest, *, balances: dict[UUID, int]) -> str:
    """Work one transfer by hand."""
    source, destination = transfer.source_wallet_id, transfer.destination_wallet_id
    assert source is not None
    assert destination is not None
    if balances[source] < transfer.amount_minor:
        return "insufficient_funds"
    balances[source] -= transfer.amount_minor
    balances[destination] += transfer.amount_minor
    return "succeeded"


class TestIdempotency:
    async def test_a_key_has_one_effect_in_one_group_and_over_processes(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        amounts = range(1, 21)

        def again() -> BatchRequest:
            return batch([ledger.request(source, destination, amount) for amount in amounts], key="k")

        async with intake_on(ledger) as one, intake_on(ledger) as other:
            acceptances = await asyncio.gather(*(intake.accept(again()) for intake in [one, other] * 10))
            later = accepted(await one.accept(again()))
        assert {accepted(a).batch for a in acceptances} == {later.batch}
        assert [accepted(a).replayed for a in acceptances].count(False) == 1
        assert later.replayed
        assert ledger.value("SELECT array_agg(amount ORDER BY position) FROM queue") == list(amounts)

    async def test_a_key_with_another_request_is_refused(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger) as intake:
            await intake.accept(batch([ledger.request(source, destination, 5)], key="k"))
            again = await intake.accept(batch([ledger.request(source, destination, 6)], key="k"))
        assert refusal(again) is IdempotencyKeyReused
        assert ledger.value("SELECT count(*) FROM transfers") == 1

    async def test_the_key_is_not_that_of_a_transfer(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        await asyncio.to_thread(ledger.accept, [ledger.request(source, destination, 1, key="k")])
        async with intake_on(ledger) as intake:
            acceptance = await intake.accept(batch([ledger.request(source, destination, 5)], key="k"))
        assert not accepted(acceptance).replayed

    async def test_a_key_whose_batch_is_under_way_elsewhere_holds_up_nobody_else(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction():
            other.execute(
                "INSERT INTO transfer_batches"
                " (id, owner_id, idempotency_key, fingerprint, first_position, last_position, total, created_at)"
                " VALUES (%s, %s, 'held', '', 1, 1, 1, now())",
                (new_id(), OPERATORS_OWNER_ID),
            )
            async with intake_on(ledger) as intake:
                acceptances = await asyncio.gather(
                    *(
                        intake.accept(batch([ledger.request(source, destination, 1)], key=key))
                        for key in ("free", "held", "free too")
                    )
                )
        assert refusal(acceptances[1]) is IdempotencyKeyInUse
        assert [accepted(acceptances[n]).replayed for n in (0, 2)] == [False, False]


class TestBackPressure:
    async def test_a_table_that_is_locked_is_not_a_key_in_use(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        asked = batch([ledger.request(source, destination, 1)], key="k")
        async with intake_on(ledger) as intake:
            with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction():
                other.execute("LOCK TABLE transfer_batches IN ACCESS EXCLUSIVE MODE")
                refused = await intake.accept(asked)
            mended = await intake.accept(asked)
        assert refusal(refused) is QueueUnavailable
        assert not accepted(mended).replayed

    async def test_a_full_queue_takes_no_new_batch_and_confirms_what_is_in_it(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        old = batch([ledger.request(source, destination, 5)], key="old")
        async with intake_on(ledger) as intake:
            first = accepted(await intake.accept(old))
        async with intake_on(ledger, is_full=True) as intake:
            replay = accepted(await intake.accept(replace(old, batch_id=new_id())))
            # Before everything else that depends on state: these wallets are not there.
            new = await intake.accept(batch([ledger.request(new_id(), new_id(), 5)], key="new"))
        assert (replay.batch, replay.replayed) == (first.batch, True)
        assert refusal(new) is QueueUnavailable
        async with intake_on(ledger) as intake:
            mended = await intake.accept(batch([ledger.request(source, destination, 6)], key="new"))
        assert not accepted(mended).replayed

    async def test_what_waits_is_counted_in_transfers(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(), ledger.wallet()
        async with intake_on(ledger, waiting_max=30) as intake:
            acceptances = await asyncio.gather(
                *(
                    intake.accept(batch([ledger.request(source, destination, 1) for _ in range(20)], key=f"k{n}"))
                    for n in range(5)
                )
            )
        assert [isinstance(a, AcceptedBatch) for a in acceptances] == [True, False, False, False, False]
        assert {refusal(a) for a in acceptances[1:]} == {QueueUnavailable}
