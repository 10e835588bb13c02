"""Log in with the Python client: its tokens are renewed at the real thing, and end when they are revoked."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import pytest

from hishab import Client, DeniedError, NewTransfer
from hishab.credentials import Credentials
from tests.callers import PIN, Person, connected
from tests.running_system import System

END_SECONDS_MAX = 60.0

T = TypeVar("T")


def in_time(call: Coroutine[object, object, T]) -> T:
    return asyncio.run(asyncio.wait_for(call, END_SECONDS_MAX))


def new(payee: Person) -> NewTransfer:
    return NewTransfer(destination_wallet_id=payee.wallet_id, amount_minor=5, currency="BDT")


def test_a_wrong_pin_is_told_by_the_first_call(system: System, payer: Person, payee: Person) -> None:
    async def submit() -> None:
        async with Client.log_in(system.url, email=payer.email, pin="00000") as client:
            await client.submit(new(payee))

    with pytest.raises(DeniedError) as caught:
        in_time(submit())
    assert (caught.value.status, caught.value.code, caught.value.outcome_unknown) == (400, "invalid_grant", False)
    assert caught.value.idempotency_key


def test_an_expired_token_is_renewed_once_for_all_until_it_is_revoked(
    system: System, payer: Person, payee: Person
) -> None:
    with connected(system, None) as http:
        tokens = http.post("/v1/token", data={"username": payer.email, "password": PIN}).json()
        renewal = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}

        async def submit_many() -> list[str]:
            # A bearer that is good for nothing any more, as after fifteen minutes.
            credentials = Credentials(bearer="expired", way_in=renewal)
            async with Client(system.url, credentials=credentials) as client:
                accepted = await asyncio.gather(*(client.submit(new(payee)) for _ in range(10)))
                return [(await client.wait(acceptance.transfer.id)).status for acceptance in accepted]

        async def submit_one() -> None:
            async with Client(system.url, credentials=Credentials(bearer="expired", way_in=renewal)) as client:
                await client.submit(new(payee))

        assert in_time(submit_many()) == ["succeeded"] * 10
        assert http.post("/v1/token/revoke", data={"token": tokens["refresh_token"]}).status_code == 200
        with pytest.raises(DeniedError) as caught:
            in_time(submit_one())
    assert caught.value.code == "invalid_grant"
    assert payer.balance_minor == 499_950
