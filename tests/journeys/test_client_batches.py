"""Send batches with the Python client, and read what became of their transfers, in order."""

import asyncio
from collections.abc import Coroutine
from secrets import token_hex
from typing import TypeVar

import pytest

from hishab import Client, NewTransfer, RefusedError, StandingBatch, Transfer
from tests.callers import Person
from tests.running_system import System

END_SECONDS_MAX = 60.0

T = TypeVar("T")


def in_time(call: Coroutine[object, object, T]) -> T:
    return asyncio.run(asyncio.wait_for(call, END_SECONDS_MAX))


def new(payee: Person, *amounts_minor: int) -> list[NewTransfer]:
    return [
        NewTransfer(destination_wallet_id=payee.wallet_id, amount_minor=amount_minor, currency="BDT")
        for amount_minor in amounts_minor
    ]


def test_a_batch_is_accepted_once_and_read_in_order(system: System, payer: Person, payee: Person) -> None:
    amounts = [*range(1, 120), 900_000]

    async def submit() -> tuple[list[bool], list[str], StandingBatch, list[Transfer]]:
        key = token_hex(8)
        async with Client(system.url, api_key=payer.token) as client:
            accepted = [await client.submit_batch(new(payee, *amounts), idempotency_key=key) for _ in range(2)]
            batch = accepted[0].batch
            standing = await client.wait_for_batch(batch.id)
            found = [transfer async for transfer in client.iterate_batch(batch.id)]
            return (
                [acceptance.replayed for acceptance in accepted],
                batch.transfer_ids,
                standing,
                found,
            )

    replayed, ids, standing, found = in_time(submit())
    assert replayed == [False, True]
    assert (standing.counts.queued, standing.counts.succeeded, standing.counts.failed) == (0, 119, 1)
    assert ids == [transfer.id for transfer in found]
    assert [(transfer.amount_minor, transfer.failure_code) for transfer in found] == [
        *((amount, "") for amount in amounts[:-1]),
        (900_000, "insufficient_funds"),
    ]
    assert payee.balance_minor == 500_000 + sum(amounts[:-1])


def test_a_fault_in_one_is_pointed_at_and_nothing_is_accepted(system: System, payer: Person, payee: Person) -> None:
    async def submit() -> None:
        async with Client(system.url, api_key=payer.token) as client:
            await client.submit_batch([*new(payee, 1), *new(payer, 1)])

    with pytest.raises(RefusedError) as caught:
        in_time(submit())
    assert [error.pointer.startswith("/transfers/1") for error in caught.value.errors] == [True]
    assert payer.http.get("/v1/transfers", params={"wallet_id": payee.wallet_id}).json()["data"] == []
