"""Say what is answered about events, about those who listen for them, and about what they were sent."""

from typing import Final

from api.openapi import examples
from api.openapi import webhook_shapes as shapes
from api.openapi.answer import FIRST_ID, ID, NEXT_CURSOR, Answer, Answers, Requests, page, shown

_OF_SAME_ENDPOINT: Final = {"endpoint_id": "$request.path.endpoint_id"}
_TO_DELIVERY: Final = {
    "get_delivery": {**_OF_SAME_ENDPOINT, "delivery_id": ID},
    "post_resend": {**_OF_SAME_ENDPOINT, "delivery_id": ID},
}

ANSWERS: Final[Answers] = {
    "get_events": {
        200: Answer(
            description="A page, oldest first.",
            shapes=(shapes.EventPage,),
            examples={
                "example": {
                    "data": [examples.EVENT_SUCCEEDED, examples.EVENT_DISABLED],
                    "has_more": False,
                    "next_cursor": examples.CURSOR,
                }
            },
            headers={
                "Link": '`rel="next"`: what comes after this page, now or later.',
                "Cache-Control": "`private, no-cache`",
            },
            leads_to={"get_events": {"after": NEXT_CURSOR}},
        )
    },
    "post_endpoint": {
        201: shown(
            shapes.EndpointWithSecret,
            {**examples.ENDPOINT, "secret": examples.ENDPOINT_KEY},
            description="Added. The secret is shown this once.",
            leads_to={
                name: {"endpoint_id": ID}
                for name in (
                    *("get_endpoint", "patch_endpoint", "post_rotation", "remove_endpoint"),
                    *("get_deliveries", "post_test", "post_recovery"),
                )
            },
        )
    },
    "get_endpoints": {
        200: page(
            shapes.EndpointPage,
            examples.ENDPOINT,
            leads_to={"get_endpoints": {"cursor": NEXT_CURSOR}, "get_endpoint": {"endpoint_id": FIRST_ID}},
        )
    },
    "get_endpoint": {200: shown(shapes.Endpoint, examples.ENDPOINT, description="The endpoint.")},
    "patch_endpoint": {
        200: shown(shapes.Endpoint, examples.DISABLED_ENDPOINT, description="The endpoint as it is now.")
    },
    "post_rotation": {
        200: shown(
            shapes.EndpointRotated,
            {
                **examples.ENDPOINT,
                "secret": examples.ENDPOINT_KEY,
                "previous_secret_until": examples.DAY_LATER,
            },
            description="From now on this secret signs. It is shown this once.",
        )
    },
    "remove_endpoint": {204: Answer(description="Deleted.")},
    "get_deliveries": {
        200: page(
            shapes.DeliveryPage,
            examples.DELIVERY,
            leads_to={
                "get_deliveries": {**_OF_SAME_ENDPOINT, "cursor": NEXT_CURSOR},
                "get_delivery": {**_OF_SAME_ENDPOINT, "delivery_id": FIRST_ID},
            },
        )
    },
    "get_delivery": {200: shown(shapes.DeliveryWithAttempts, examples.DELIVERED, description="How it stands.")},
    "post_resend": {202: shown(shapes.DeliveryWithAttempts, examples.OWED, description="It is due now.")},
    "post_test": {
        202: shown(
            shapes.DeliveryWithAttempts,
            {**examples.OWED, "event_type": "ping"},
            description="The ping is due now.",
            leads_to=_TO_DELIVERY,
        )
    },
    "post_recovery": {
        202: shown(
            shapes.Recovery,
            {
                "id": examples.RECOVERY_ID,
                "webhook_endpoint_id": examples.ENDPOINT_ID,
                "since": examples.AT,
                "until": examples.LATER,
                "requested_at": examples.LATER,
            },
            description="What was not delivered will be, soon.",
        )
    },
}

REQUESTS: Final[Requests] = {
    "post_endpoint": {"the shop's": {"url": "https://example.org/hooks", "event_types": ["transfer.succeeded"]}},
    "patch_endpoint": {
        "another address": {"url": "https://example.org/other-hooks"},
        "silence": {"enabled": False},
        "everything": {"event_types": None, "description": "the shop", "enabled": True},
    },
    "post_rotation": {"with a day of both": {"grace_period_seconds": 86_400}, "at once": {"grace_period_seconds": 0}},
    "post_recovery": {
        "an hour": {"since": "2026-05-04T09:00:00Z", "until": "2026-05-04T10:00:00Z"},
        "until now": {"since": "2026-05-04T09:00:00Z"},
    },
}
