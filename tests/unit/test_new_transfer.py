"""Hold what a request is recognised by to the fields that were sent, spelt as they were when it was first stored."""

from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import pytest

from api.transfer_batches.schemas import NewBatch
from api.transfers.schemas import NewTransfer

OWNER: Final = UUID(int=1)

BETWEEN_WALLETS: Final = {
    "source_wallet_id": "0198C0DE-2222-7222-8222-222222222222",
    "destination_wallet_id": "0198c0de-3333-7333-8333-333333333333",
    "amount": 12_550,
    "currency": "BDT",
    "reference": "rent",
}
CANONICAL_BETWEEN_WALLETS: Final = (
    '{"amount":12550,"currency":"BDT","destination_wallet_id":"0198c0de-3333-7333-8333-333333333333",'
    '"reference":"rent","source_wallet_id":"0198c0de-2222-7222-8222-222222222222"}'
)

IN_BENGALI: Final = {
    "destination_wallet_id": "0198c0de-3333-7333-8333-333333333333",
    "amount": 1,
    "currency": "BDT",
    "note": "ভাত",
}
CANONICAL_IN_BENGALI: Final = (
    '{"amount":1,"currency":"BDT","destination_wallet_id":"0198c0de-3333-7333-8333-333333333333",'
    r'"note":"\u09ad\u09be\u09a4"}'
)

TO_SOMEBODY: Final = {
    "currency": "BDT",
    "amount": 1,
    "destination_email": "Payee@Example.org",
    "metadata": {"b": "2", "a": "1"},
    "reference": None,
}
CANONICAL_TO_SOMEBODY: Final = (
    '{"amount":1,"currency":"BDT","destination_email":"payee@example.org","metadata":{"a":"1","b":"2"},'
    '"reference":null}'
)


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (BETWEEN_WALLETS, CANONICAL_BETWEEN_WALLETS),
        (IN_BENGALI, CANONICAL_IN_BENGALI),
        (TO_SOMEBODY, CANONICAL_TO_SOMEBODY),
    ],
)
def test_a_transfer_is_recognised_by_what_was_sent(body: dict[str, Any], canonical: str) -> None:
    asked = NewTransfer.model_validate(body).requested(owner_id=OWNER, idempotency_key="k")
    assert asked.fingerprint == sha256(canonical.encode()).digest()


def test_a_batch_is_recognised_by_what_was_sent() -> None:
    asked = NewBatch.model_validate({"transfers": [BETWEEN_WALLETS, TO_SOMEBODY]})
    canonical = f'{{"transfers":[{CANONICAL_BETWEEN_WALLETS},{CANONICAL_TO_SOMEBODY}]}}'
    request = asked.requested(owner_id=OWNER, idempotency_key="k")
    assert request.fingerprint == sha256(canonical.encode()).digest()
