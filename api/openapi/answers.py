"""Say what every operation answers when all goes well: its shape, a real example, its headers, and where it leads."""

from collections.abc import Mapping
from typing import Any, Final

from api.openapi import shapes
from api.openapi.answer import CURSOR, LOCATION, RETRY_AFTER, Answer, page, shown
from api.openapi.webhook_answers import WEBHOOK_ANSWERS, WEBHOOK_REQUESTS

WALLET_ID: Final = "0198c0de-1b2c-7d3e-8f40-5a6b7c8d9e01"
OTHER_WALLET_ID: Final = "0198c0de-2c3d-7e4f-9051-6b7c8d9e0f12"
TRANSFER_ID: Final = "0198c0df-3d4e-7f50-a162-7c8d9e0f1a23"
OWNER_ID: Final = "0198c0de-0a1b-7c2d-8e3f-4a5b6c7d8e9f"
AUDIT_ID: Final = "0198c0e1-5f60-7172-8384-9e0f1a2b3c45"
EVENT_ID: Final = "evt_0198c0df718273949506a7b8c9d0e1f2"
AT: Final = "2026-05-04T09:30:00.123456Z"
LATER: Final = "2026-05-04T09:30:00.145678Z"

QUEUED: Final[dict[str, Any]] = {
    "id": TRANSFER_ID,
    "status": "queued",
    "version": 1,
    "amount": 12_550,
    "currency": "BDT",
    "source_wallet_id": WALLET_ID,
    "destination_wallet_id": OTHER_WALLET_ID,
    "reference": "invoice 17",
    "note": "tea",
    "metadata": {"order": "17"},
    "failure": None,
    "created_at": AT,
    "updated_at": AT,
    "completed_at": None,
    "links": {"self": f"/v1/transfers/{TRANSFER_ID}", "events": f"/v1/transfers/{TRANSFER_ID}/events"},
}
SUCCEEDED: Final = {**QUEUED, "status": "succeeded", "version": 2, "updated_at": LATER, "completed_at": LATER}
FAILED: Final = {
    **SUCCEEDED,
    "status": "failed",
    "failure": {"code": "insufficient_funds", "message": "The source wallet does not hold enough money."},
}
UNPROCESSABLE: Final = {
    **SUCCEEDED,
    "status": "failed",
    "metadata": None,
    "failure": {
        "code": "unprocessable",
        "message": "The transfer could not be processed because of a defect on our side. No money moved.",
    },
    "defect": "The process that applied it died.",
}
WALLET: Final[dict[str, Any]] = {
    "id": WALLET_ID,
    "owner_id": OWNER_ID,
    "kind": "personal",
    "currency": "BDT",
    "external_id": None,
    "balance": 500_000,
    "floor": 0,
    "entry_count": 1,
    "created_at": AT,
}
OPERATORS_WALLET: Final = {
    **WALLET,
    "owner_id": "00000000-0000-0000-0000-000000000001",
    "kind": "operator",
    "external_id": "till 4",
    "balance": 0,
    "entry_count": 0,
}
USER: Final = {"id": OWNER_ID, "name": "Rina", "email": "rina@example.org", "created_at": AT}
AUDIT: Final[dict[str, Any]] = {
    "id": AUDIT_ID,
    "status": "queued",
    "holds": None,
    "summed": None,
    "violations": [],
    "requested_at": AT,
    "started_at": None,
    "finished_at": None,
    "links": {"self": f"/v1/system/audits/{AUDIT_ID}"},
}
EVENT_SUCCEEDED: Final[dict[str, Any]] = {
    "type": "transfer.succeeded",
    "id": EVENT_ID,
    "timestamp": LATER,
    "data": {**SUCCEEDED, "previous_status": "queued"},
}
EVENT_FAILED: Final[dict[str, Any]] = {
    **EVENT_SUCCEEDED,
    "type": "transfer.failed",
    "data": {**FAILED, "previous_status": "queued"},
}

_TO_TRANSFER: Final = {"get_transfer": "transfer_id", "get_transfer_events": "transfer_id"}
_TO_WALLET: Final = {"get_wallet": "wallet_id", "get_entries": "wallet_id"}

ANSWERS: Final[Mapping[str, Mapping[int, Answer]]] = {
    **WEBHOOK_ANSWERS,
    "post_token": {
        200: shown(
            shapes.Token,
            {
                "access_token": "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ.…",
                "token_type": "bearer",
                "expires_in": 900,
                "scope": "",
            },
            headers={"Cache-Control": "`no-store`"},
            description="Logged in.",
        )
    },
    "post_user": {
        201: shown(
            shapes.SignedUpUser,
            {**USER, "wallet_id": OTHER_WALLET_ID, "opening_grant": {**SUCCEEDED, "metadata": None}},
            description="Signed up.",
        )
    },
    "get_me": {200: shown(shapes.User, USER, description="The caller.")},
    "get_my_balance": {
        200: shown(
            shapes.Balance,
            {"wallet_id": WALLET_ID, "currency": "BDT", "balance": 500_000},
            description="What the wallet holds.",
        )
    },
    "post_wallet": {
        200: Answer(
            description="The wallet was there already; or a list, each item with a status of its own.",
            shapes=(shapes.Wallet, shapes.WalletsOpened),
            examples={
                "one that was there": WALLET,
                "many": {"data": [{"status": 201, "wallet": OPERATORS_WALLET}]},
            },
        ),
        201: Answer(
            description="The wallet was opened.",
            shapes=(shapes.Wallet,),
            examples={"example": {**WALLET, "balance": 0, "entry_count": 0}},
            leads_to=_TO_WALLET,
        ),
    },
    "get_wallets": {200: page(shapes.WalletPage, WALLET)},
    "get_wallet": {200: shown(shapes.Wallet, WALLET, description="The wallet.")},
    "get_entries": {
        200: page(
            shapes.EntryPage,
            {
                "number": 1,
                "amount": 500_000,
                "balance_after": 500_000,
                "transfer_id": TRANSFER_ID,
                "created_at": LATER,
            },
        )
    },
    "get_currencies": {
        200: shown(shapes.Currencies, {"data": [{"code": "BDT", "exponent": 2}]}, description="The currencies.")
    },
    "post_transfer": {
        202: Answer(
            description="Accepted: committed and queued. A replay is this answer again, byte for byte.",
            shapes=(shapes.Transfer,),
            examples={"accepted": QUEUED},
            headers={
                **LOCATION,
                **RETRY_AFTER,
                "Idempotency-Key": "The key that was sent.",
                "Idempotent-Replayed": "`true` if it was accepted before.",
            },
            leads_to=_TO_TRANSFER,
        )
    },
    "get_transfers": {200: page(shapes.TransferPage, SUCCEEDED)},
    "get_transfer": {
        200: Answer(
            description="The transfer as it stands, also if it failed.",
            shapes=(shapes.Transfer,),
            examples={"queued": QUEUED, "succeeded": SUCCEEDED, "failed": FAILED},
            headers=RETRY_AFTER,
        )
    },
    "get_transfer_events": {
        200: shown(
            shapes.History,
            {
                "data": [
                    {"id": None, "type": "transfer.queued", "version": 1, "status": "queued", "created_at": AT},
                    {
                        "id": EVENT_ID,
                        "type": "transfer.succeeded",
                        "version": 2,
                        "status": "succeeded",
                        "created_at": LATER,
                    },
                ]
            },
            description="Each status that it had, oldest first.",
        )
    },
    "get_events": {
        200: shown(
            shapes.EventPage,
            {"data": [EVENT_SUCCEEDED], "has_more": False, "next_cursor": CURSOR},
            headers={"Link": '`rel="next"`: what comes after this page, now or later.'},
            description="A page, oldest first.",
        )
    },
    "get_system_balance": {
        200: shown(
            shapes.SystemBalance,
            {"data": [{"currency": "BDT", "balance": 500_000}]},
            description="How much was issued, per currency.",
        )
    },
    "get_unprocessable_transfers": {200: page(shapes.UnprocessableTransferPage, UNPROCESSABLE)},
    "post_audit": {
        202: Answer(
            description="Asked for.",
            shapes=(shapes.Audit,),
            examples={"asked for": AUDIT},
            headers={**LOCATION, **RETRY_AFTER},
            leads_to={"get_audit": "audit_id"},
        )
    },
    "get_audit": {
        200: shown(
            shapes.Audit,
            {
                **AUDIT,
                "status": "finished",
                "holds": True,
                "summed": {"transfers": 1, "entries": 2},
                "started_at": AT,
                "finished_at": LATER,
            },
            description="How it stands.",
        )
    },
    "get_livez": {200: shown(shapes.Alive, {"status": "ok"}, description="The process answers.")},
    "get_readyz": {
        200: shown(
            shapes.Ready,
            {"status": "ok", "checks": {"database": "ok", "schema": "ok", "lanes": "ok", "broker": "ok"}},
            description="Transfers can be accepted.",
        ),
        503: shown(
            shapes.Ready,
            {"status": "unavailable", "checks": {"database": "unavailable", "broker": "ok"}},
            description="PostgreSQL is away, or its schema is not this version's.",
        ),
    },
}
"""By the name of the operation. One without an entry fails tests/unit/test_openapi.py."""

REQUESTS: Final[Mapping[str, Mapping[str, object]]] = {
    **WEBHOOK_REQUESTS,
    "post_token": {"log in": {"grant_type": "password", "username": "rina@example.org", "password": "27182"}},
    "post_user": {"sign up": {"name": "Rina", "email": "rina@example.org", "pin": "27182"}},
    "post_wallet": {
        "a person's": {"currency": "EUR"},
        "an operator's": {"currency": "BDT", "external_id": "till 4"},
        "many": [{"currency": "BDT", "external_id": "till 4"}, {"currency": "BDT", "external_id": "till 5"}],
    },
    "post_transfer": {
        "to a wallet": {
            "destination_wallet_id": OTHER_WALLET_ID,
            "amount": 12_550,
            "currency": "BDT",
            "reference": "invoice 17",
            "note": "tea",
            "metadata": {"order": "17"},
        },
        "to an email": {"destination_email": "boris@example.org", "amount": 12_550, "currency": "BDT"},
    },
}
"""By the name of the operation: what to send."""
