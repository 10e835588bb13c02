"""Say what is answered about transfers, and about batches of them."""

from typing import Any, Final

from api.openapi import examples, shapes
from api.openapi.answer import (
    ACCEPTANCE,
    FIRST_ID,
    ID,
    NEXT_CURSOR,
    READING,
    RETRY_AFTER,
    Answer,
    Answers,
    Requests,
    page,
    shown,
    unchanged,
)

_TO_TRANSFER: Final = {"get_transfer": {"transfer_id": ID}, "get_transfer_events": {"transfer_id": ID}}
_TO_FIRST_TRANSFER: Final = {
    "get_transfer": {"transfer_id": FIRST_ID},
    "get_transfer_events": {"transfer_id": FIRST_ID},
}
_TO_BATCH: Final = {"get_transfer_batch": {"batch_id": ID}, "get_batch_transfers": {"batch_id": ID}}

_WAITED_FOR: Final = "Accepted, and ended while it was waited for. Never at a replay."
_ACCEPTED: Final = "Accepted: committed and queued. A replay is this answer again, byte for byte."
_ACCEPTANCE: Final = {**ACCEPTANCE, **RETRY_AFTER, "Idempotent-Replayed": "`true` if it was accepted before."}

_STREAM: Final = """event: transfer.queued
data: {"id":"0198c0df-…","status":"queued",…}

: ping

event: transfer.succeeded
data: {"id":"0198c0df-…","status":"succeeded",…}
id: evt_0198c0df…
"""

_TO_A_WALLET: Final[dict[str, Any]] = {
    "destination_wallet_id": examples.OTHER_WALLET_ID,
    "amount": 12_550,
    "currency": "BDT",
    "reference": "invoice 17",
    "note": "tea",
    "metadata": {"order": "17"},
}

ANSWERS: Final[Answers] = {
    "post_transfer": {
        200: shown(
            shapes.Transfer,
            examples.SUCCEEDED,
            description=_WAITED_FOR,
            headers=ACCEPTANCE,
            leads_to=_TO_TRANSFER,
        ),
        202: shown(shapes.Transfer, examples.QUEUED, description=_ACCEPTED, headers=_ACCEPTANCE, leads_to=_TO_TRANSFER),
    },
    "get_transfers": {
        200: page(
            shapes.TransferPage,
            examples.SUCCEEDED,
            leads_to={"get_transfers": {"cursor": NEXT_CURSOR}, **_TO_FIRST_TRANSFER},
        )
    },
    "get_transfer": {
        200: Answer(
            description="The transfer as it stands, also if it failed.",
            shapes=(shapes.Transfer,),
            examples={"queued": examples.QUEUED, "succeeded": examples.SUCCEEDED, "failed": examples.FAILED},
            headers=READING,
            leads_to={"get_transfer_events": {"transfer_id": ID}},
        ),
        304: unchanged("The transfer"),
    },
    "get_transfer_events": {
        200: Answer(
            description="Each status that it had, oldest first; with `Accept: text/event-stream` a stream.",
            shapes=(shapes.History,),
            examples={
                "example": {
                    "data": [
                        {
                            "id": None,
                            "type": "transfer.queued",
                            "version": 1,
                            "status": "queued",
                            "created_at": examples.AT,
                        },
                        {
                            "id": examples.EVENT_ID,
                            "type": "transfer.succeeded",
                            "version": 2,
                            "status": "succeeded",
                            "created_at": examples.LATER,
                        },
                    ]
                }
            },
            stream=_STREAM,
            headers={"Cache-Control": "`private, no-cache`", "Vary": "`Accept`"},
        ),
        204: Answer(
            description="Nothing follows the event that `Last-Event-ID` names: do not come back.",
            headers={"Cache-Control": "`private, no-cache`", "Vary": "`Accept`"},
        ),
    },
    "post_transfer_batch": {
        200: shown(
            shapes.Batch, examples.COMPLETED_BATCH, description=_WAITED_FOR, headers=ACCEPTANCE, leads_to=_TO_BATCH
        ),
        202: shown(
            shapes.BatchAccepted,
            examples.BATCH_ACCEPTED,
            description=_ACCEPTED,
            headers=_ACCEPTANCE,
            leads_to={**_TO_BATCH, "get_transfer": {"transfer_id": "$response.body#/transfer_ids/0"}},
        ),
    },
    "get_transfer_batch": {
        200: Answer(
            description="The batch as it stands.",
            shapes=(shapes.Batch,),
            examples={"queued": examples.BATCH, "completed": examples.COMPLETED_BATCH},
            headers=READING,
            leads_to={"get_batch_transfers": {"batch_id": ID}},
        ),
        304: unchanged("The batch"),
    },
    "get_batch_transfers": {
        200: page(
            shapes.BatchTransferPage,
            examples.SUCCEEDED,
            description="A page, in the order they were sent.",
            leads_to={
                "get_batch_transfers": {"batch_id": "$request.path.batch_id", "cursor": NEXT_CURSOR},
                **_TO_FIRST_TRANSFER,
            },
        )
    },
}

REQUESTS: Final[Requests] = {
    "post_transfer": {
        "to a wallet": _TO_A_WALLET,
        "to an email": {"destination_email": "boris@example.org", "amount": 12_550, "currency": "BDT"},
    },
    "post_transfer_batch": {"one to each": {"transfers": [_TO_A_WALLET, {**_TO_A_WALLET, "reference": "invoice 18"}]}},
}
