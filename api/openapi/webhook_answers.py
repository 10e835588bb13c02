"""Say what the operations of webhooks answer when all goes well, and what webhooks tell that is no transfer's."""

from collections.abc import Mapping
from typing import Any, Final

from api.openapi import webhook_shapes as shapes
from api.openapi.answer import Answer, page, shown

ENDPOINT_ID: Final = "0198c0e0-4e5f-7061-b273-8d9e0f1a2b34"
DELIVERY_ID: Final = "0198c0e2-6071-7283-9495-0f1a2b3c4d56"
RECOVERY_ID: Final = "0198c0e3-7182-7394-a5a6-102b3c4d5e67"
EVENT_ID: Final = "evt_0198c0df718273949506a7b8c9d0e1f2"
OWNER_ID: Final = "0198c0de-0a1b-7c2d-8e3f-4a5b6c7d8e9f"
URL: Final = "https://example.org/hooks"
AT: Final = "2026-05-04T09:30:00.123456Z"
LATER: Final = "2026-05-04T09:30:00.145678Z"
SECRET: Final = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="  # noqa: S105 (made up)

ENDPOINT: Final[dict[str, Any]] = {
    "id": ENDPOINT_ID,
    "url": URL,
    "event_types": ["transfer.succeeded"],
    "description": "the shop",
    "enabled": True,
    "disabled_reason": None,
    "disabled_at": None,
    "created_at": AT,
}
HEALTH: Final = {
    **ENDPOINT,
    "owner_id": OWNER_ID,
    "failures": 7,
    "failing_since": AT,
    "due": 12,
    "oldest_due_at": LATER,
}
DELIVERY: Final[dict[str, Any]] = {
    "id": DELIVERY_ID,
    "event_id": EVENT_ID,
    "event_type": "transfer.succeeded",
    "status": "delivered",
    "attempt_count": 1,
    "next_attempt_at": None,
    "created_at": LATER,
    "finished_at": LATER,
}
WITH_ATTEMPTS: Final = {
    **DELIVERY,
    "attempts": [
        {
            "number": 1,
            "started_at": LATER,
            "duration_ms": 42,
            "http_status": 204,
            "error": None,
            "answer_excerpt": "",
        }
    ],
}
ON_ITS_WAY: Final = {
    **WITH_ATTEMPTS,
    "status": "pending",
    "attempt_count": 0,
    "attempts": [],
    "next_attempt_at": AT,
    "finished_at": None,
}
RECOVERY: Final = {
    "id": RECOVERY_ID,
    "webhook_endpoint_id": ENDPOINT_ID,
    "since": AT,
    "until": LATER,
    "requested_at": LATER,
}

EVENT_DISABLED: Final[dict[str, Any]] = {
    "type": "webhook_endpoint.disabled",
    "id": EVENT_ID,
    "timestamp": LATER,
    "data": {"endpoint_id": ENDPOINT_ID, "url": URL, "disabled_reason": "gone", "disabled_at": LATER},
}
EVENT_PING: Final[dict[str, Any]] = {
    "type": "ping",
    "id": EVENT_ID,
    "timestamp": LATER,
    "data": {"endpoint_id": ENDPOINT_ID},
}

_TO_ENDPOINT: Final = {
    "get_endpoint": "endpoint_id",
    "get_deliveries": "endpoint_id",
    "remove_endpoint": "endpoint_id",
}

WEBHOOK_ANSWERS: Final[Mapping[str, Mapping[int, Answer]]] = {
    "post_endpoint": {
        201: Answer(
            description="Added. The secret is shown this once.",
            shapes=(shapes.NewEndpointShown,),
            examples={"added": {**ENDPOINT, "secret": SECRET}},
            leads_to=_TO_ENDPOINT,
        )
    },
    "get_endpoints": {200: page(shapes.EndpointPage, ENDPOINT)},
    "get_endpoint": {200: shown(shapes.Endpoint, ENDPOINT, description="The endpoint.")},
    "patch_endpoint": {200: shown(shapes.Endpoint, ENDPOINT, description="The endpoint as it is now.")},
    "post_rotation": {
        200: shown(
            shapes.RotatedEndpoint,
            {**ENDPOINT, "secret": SECRET, "previous_secret_until": LATER},
            description="The new secret is shown this once.",
        )
    },
    "remove_endpoint": {204: Answer(description="Deleted.")},
    "get_deliveries": {200: page(shapes.DeliveryPage, DELIVERY)},
    "get_delivery": {200: shown(shapes.DeliveryWithAttempts, WITH_ATTEMPTS, description="The delivery.")},
    "post_resend": {202: shown(shapes.DeliveryWithAttempts, ON_ITS_WAY, description="It is sent now.")},
    "post_test": {
        202: shown(shapes.DeliveryWithAttempts, {**ON_ITS_WAY, "event_type": "ping"}, description="A ping is sent now.")
    },
    "post_recovery": {202: shown(shapes.Recovery, RECOVERY, description="It is sent soon.")},
    "get_system_endpoints": {200: page(shapes.EndpointHealthPage, HEALTH)},
}

WEBHOOK_REQUESTS: Final[Mapping[str, Mapping[str, object]]] = {
    "post_endpoint": {"the shop's": {"url": URL, "event_types": ["transfer.succeeded"]}},
    "patch_endpoint": {"enable it again": {"enabled": True}, "all event types": {"event_types": None}},
    "post_rotation": {"for a day both": {}, "at once": {"grace_period_seconds": 0}},
    "post_recovery": {"since it was down": {"since": AT}, "a window": {"since": AT, "until": LATER}},
}
