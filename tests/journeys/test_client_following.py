"""Follow a transfer with the Python client while the API is killed: waiting and streaming go on to its end."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from hishab import Client, NewTransfer, Transfer
from tests.callers import Person
from tests.journeys.queue_held import queue_held
from tests.running_system import System

END_SECONDS_MAX = 120.0

T = TypeVar("T")


def in_time(call: Coroutine[object, object, T]) -> T:
    return asyncio.run(asyncio.wait_for(call, END_SECONDS_MAX))


def test_goes_on_through_a_restart_of_the_api(system: System, payer: Person, payee: Person) -> None:
    has_begun = asyncio.Event()

    async def streamed(client: Client, transfer_id: str) -> list[tuple[str, bool]]:
        told: list[tuple[str, bool]] = []
        async for event in client.stream(transfer_id):
            told.append((event.type, event.id is None))
            has_begun.set()
        return told

    async def follow() -> tuple[Transfer, list[tuple[str, bool]]]:
        new = NewTransfer(destination_wallet_id=payee.wallet_id, amount_minor=7, currency="BDT")
        async with Client(system.url, api_key=payer.token) as client:
            with queue_held(system):
                accepted = await client.submit(new)
                waiting = asyncio.create_task(client.wait(accepted.transfer.id))
                streaming = asyncio.create_task(streamed(client, accepted.transfer.id))
                await has_begun.wait()
                killed = await asyncio.to_thread(system.kill, "api")
                await asyncio.to_thread(system.await_restart, "api", of=killed)
                assert not waiting.done()
                assert not streaming.done()
            return await waiting, await streaming

    transfer, told = in_time(follow())
    assert (transfer.status, transfer.version, transfer.amount_minor) == ("succeeded", 2, 7)
    assert told == [("transfer.queued", True), ("transfer.succeeded", False)]
    assert (payer.balance_minor, payee.balance_minor) == (499_993, 500_007)


def test_submits_and_waits_in_one_call(system: System, payer: Person, payee: Person) -> None:
    async def pay(amount_minor: int) -> Transfer:
        new = NewTransfer(destination_wallet_id=payee.wallet_id, amount_minor=amount_minor, currency="BDT")
        async with Client(system.url, api_key=payer.token) as client:
            return await client.submit_and_wait(new, idempotency_key=f"pay-{amount_minor}")

    assert in_time(pay(5)).status == "succeeded"
    assert in_time(pay(5)).status == "succeeded"
    assert in_time(pay(900_000)).failure_code == "insufficient_funds"
    assert payer.balance_minor == 499_995
