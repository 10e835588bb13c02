"""Follow a transfer's link to its events: each status that it had, in order, under the ids that webhooks tell."""

import re
from secrets import token_hex
from typing import Any

import pytest

from tests.callers import Person, ended, pay


def history(person: Person, transfer: dict[str, Any]) -> list[dict[str, Any]]:
    answer = person.http.get(transfer["links"]["events"])
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@pytest.mark.parametrize(("amount", "status"), [(1, "succeeded"), (10**12, "failed")])
def test_tells_the_acceptance_and_the_ending(payer: Person, payee: Person, amount: int, status: str) -> None:
    accepted = pay(payer.http, to=payee.wallet_id, amount=amount, key=token_hex(8)).json()
    transfer = ended(payer.http, accepted["id"])
    queued, ending = history(payer, transfer)
    assert queued == {
        "id": None,
        "type": "transfer.queued",
        "version": 1,
        "status": "queued",
        "created_at": transfer["created_at"],
    }
    assert re.fullmatch("evt_[0-9a-f]{32}", ending.pop("id"))
    assert ending == {
        "type": f"transfer.{status}",
        "version": 2,
        "status": status,
        "created_at": transfer["completed_at"],
    }


def test_is_the_same_for_the_payee(payer: Person, payee: Person) -> None:
    accepted = pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8)).json()
    transfer = ended(payer.http, accepted["id"])
    assert history(payee, transfer) == history(payer, transfer)
