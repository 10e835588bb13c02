"""Keep what is shown as an example: one story, told in the same ids from one operation to the next."""

from typing import Any, Final

from api.tokens import routes as token_routes
from shared.domain.scope import OF_PERSONS

WALLET_ID: Final = "0198c0de-1b2c-7d3e-8f40-5a6b7c8d9e01"
OTHER_WALLET_ID: Final = "0198c0de-2c3d-7e4f-9051-6b7c8d9e0f12"
TRANSFER_ID: Final = "0198c0df-3d4e-7f50-a162-7c8d9e0f1a23"
OWNER_ID: Final = "0198c0de-0a1b-7c2d-8e3f-4a5b6c7d8e9f"
ENDPOINT_ID: Final = "0198c0e0-4e5f-7061-b273-8d9e0f1a2b34"
BATCH_ID: Final = "0198c0e3-7182-7394-a5a6-1f2a3b4c5d67"
KEY_ID: Final = "0198c0e4-8293-74a5-b6b7-2a3b4c5d6e78"
RECOVERY_ID: Final = "0198c0e5-93a4-75b6-87c8-3b4c5d6e7f89"
AUDIT_ID: Final = "0198c0e1-5f60-7172-8384-9e0f1a2b3c45"
DELIVERY_ID: Final = "0198c0e2-6071-7283-9495-0f1a2b3c4d56"
EVENT_ID: Final = "evt_0198c0df718273949506a7b8c9d0e1f2"
AT: Final = "2026-05-04T09:30:00.123456Z"
DAY_LATER: Final = "2026-05-05T09:30:00.123456Z"
LATER: Final = "2026-05-04T09:30:00.145678Z"
CURSOR: Final = "MTcuOWYyYzRhNmI4ZDBlMWYzYQ"

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
LANE: Final = {
    "lane": 1,
    "status": "working",
    "queued": 17,
    "oldest_queued_seconds": 0.012,
    "last_applied_at": AT,
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
BATCH_ACCEPTED: Final[dict[str, Any]] = {
    "id": BATCH_ID,
    "transfer_ids": [TRANSFER_ID],
    "total": 1,
    "created_at": AT,
}
BATCH: Final[dict[str, Any]] = {
    "id": BATCH_ID,
    "total": 1,
    "counts": {"queued": 1, "succeeded": 0, "failed": 0},
    "created_at": AT,
    "completed_at": None,
    "links": {
        "self": f"/v1/transfer-batches/{BATCH_ID}",
        "transfers": f"/v1/transfer-batches/{BATCH_ID}/transfers",
    },
}
COMPLETED_BATCH: Final = {
    **BATCH,
    "counts": {"queued": 0, "succeeded": 1, "failed": 0},
    "completed_at": LATER,
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
ENDPOINT: Final[dict[str, Any]] = {
    "id": ENDPOINT_ID,
    "url": "https://example.org/hooks",
    "event_types": ["transfer.succeeded"],
    "description": "the shop",
    "enabled": True,
    "disabled_reason": None,
    "disabled_at": None,
    "created_at": AT,
}
DISABLED_ENDPOINT: Final = {**ENDPOINT, "enabled": False, "disabled_reason": "owner", "disabled_at": LATER}
ENDPOINT_HEALTH: Final = {
    **ENDPOINT,
    "owner_id": OWNER_ID,
    "failures": 3,
    "failing_since": AT,
    "due": 17,
    "oldest_due_at": AT,
}
DELIVERY: Final[dict[str, Any]] = {
    "id": DELIVERY_ID,
    "event_id": EVENT_ID,
    "event_type": "transfer.succeeded",
    "status": "delivered",
    "attempt_count": 2,
    "next_attempt_at": None,
    "created_at": LATER,
    "finished_at": LATER,
}
DELIVERED: Final = {
    **DELIVERY,
    "attempts": [
        {
            "number": 1,
            "started_at": AT,
            "duration_ms": 15_000,
            "http_status": None,
            "error": {"code": "timeout", "message": "No answer came in time."},
            "answer_excerpt": None,
        },
        {
            "number": 2,
            "started_at": LATER,
            "duration_ms": 42,
            "http_status": 200,
            "error": None,
            "answer_excerpt": "thank you",
        },
    ],
}
OWED: Final[dict[str, Any]] = {
    **DELIVERY,
    "status": "pending",
    "attempt_count": 0,
    "next_attempt_at": LATER,
    "finished_at": None,
    "attempts": [],
}
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
EVENT_DISABLED: Final[dict[str, Any]] = {
    "type": "webhook_endpoint.disabled",
    "id": EVENT_ID,
    "timestamp": LATER,
    "data": {
        "endpoint_id": ENDPOINT_ID,
        "url": "https://example.org/hooks",
        "disabled_reason": "gone",
        "disabled_at": LATER,
    },
}
EVENT_PING: Final[dict[str, Any]] = {
    "type": "ping",
    "id": EVENT_ID,
    "timestamp": AT,
    "data": {"endpoint_id": ENDPOINT_ID},
}
ENDPOINT_KEY: Final = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
PAIR: Final[dict[str, Any]] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ.…",
    "token_type": "bearer",
    "expires_in": 900,
    "refresh_token": "rt_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE",
    "scope": " ".join(sorted(OF_PERSONS)),
}
WRONG_PIN: Final = token_routes.WRONG_PIN
DEAD_TOKEN: Final = token_routes.DEAD_TOKEN
API_KEY: Final[dict[str, Any]] = {
    "id": KEY_ID,
    "name": "the shop",
    "scopes": ["transfers:write", "transfers:read"],
    "created_at": AT,
    "expires_at": "2027-05-04T00:00:00.000000Z",
    "last_used_at": LATER,
}
