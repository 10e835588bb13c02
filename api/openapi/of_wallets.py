"""Say what is answered about wallets, and about the system as a whole."""

from typing import Final

from api.openapi import examples, shapes, webhook_shapes
from api.openapi.answer import FIRST_ID, ID, LOCATION, NEXT_CURSOR, RETRY_AFTER, Answer, Answers, Requests, page, shown

_TO_WALLET: Final = {"get_wallet": {"wallet_id": ID}, "get_entries": {"wallet_id": ID}}

ANSWERS: Final[Answers] = {
    "post_wallet": {
        200: Answer(
            description="The wallet was there already; or a list, each item with a status of its own.",
            shapes=(shapes.Wallet, shapes.WalletsOpened),
            examples={
                "one that was there": examples.WALLET,
                "many": {"data": [{"status": 201, "wallet": examples.OPERATORS_WALLET}]},
            },
        ),
        201: shown(
            shapes.Wallet,
            {**examples.WALLET, "balance": 0, "entry_count": 0},
            description="The wallet was opened.",
            leads_to=_TO_WALLET,
        ),
    },
    "get_wallets": {
        200: page(
            shapes.WalletPage,
            examples.WALLET,
            leads_to={
                "get_wallets": {"cursor": NEXT_CURSOR},
                "get_wallet": {"wallet_id": FIRST_ID},
                "get_entries": {"wallet_id": FIRST_ID},
                "get_transfers": {"wallet_id": FIRST_ID},
            },
        )
    },
    "get_wallet": {
        200: shown(
            shapes.Wallet, examples.WALLET, description="The wallet.", leads_to={"get_entries": {"wallet_id": ID}}
        )
    },
    "get_entries": {
        200: page(
            shapes.EntryPage,
            {
                "number": 1,
                "amount": 500_000,
                "balance_after": 500_000,
                "transfer_id": examples.TRANSFER_ID,
                "created_at": examples.LATER,
            },
            leads_to={"get_transfer": {"transfer_id": "$response.body#/data/0/transfer_id"}},
        )
    },
    "get_currencies": {
        200: shown(shapes.Currencies, {"data": [{"code": "BDT", "exponent": 2}]}, description="The currencies.")
    },
    "get_system_balance": {
        200: shown(
            shapes.SystemBalance,
            {"data": [{"currency": "BDT", "balance": 500_000}]},
            description="How much was issued, per currency.",
        )
    },
    "get_unprocessable_transfers": {200: page(shapes.UnprocessableTransferPage, examples.UNPROCESSABLE)},
    "get_lanes": {
        200: shown(
            shapes.Lanes,
            {"data": [examples.LANE]},
            description="The lanes.",
            leads_to={"post_lane_start": {"lane": "$response.body#/data/0/lane"}},
        )
    },
    "post_lane_start": {200: shown(shapes.Lane, examples.LANE, description="It goes on.")},
    "post_audit": {
        202: shown(
            shapes.Audit,
            examples.AUDIT,
            description="Asked for.",
            headers={**LOCATION, **RETRY_AFTER},
            leads_to={"get_audit": {"audit_id": ID}},
        )
    },
    "get_audit": {
        200: shown(
            shapes.Audit,
            {
                **examples.AUDIT,
                "status": "finished",
                "holds": True,
                "summed": {"transfers": 1, "entries": 2},
                "started_at": examples.AT,
                "finished_at": examples.LATER,
            },
            description="How it stands.",
        )
    },
    "get_system_endpoints": {
        200: page(
            webhook_shapes.EndpointHealthPage,
            examples.ENDPOINT_HEALTH,
            leads_to={
                "get_system_endpoints": {"cursor": NEXT_CURSOR},
                "get_deliveries": {"endpoint_id": FIRST_ID},
            },
        )
    },
    "get_livez": {200: shown(shapes.Alive, {"status": "ok"}, description="The process answers.")},
    "get_readyz": {
        200: shown(
            shapes.Ready,
            {
                "status": "degraded",
                "checks": {
                    "database": "ok",
                    "schema": "ok",
                    "lanes": "degraded",
                    "upkeep": "ok",
                    "deliveries": "ok",
                    "broker": "ok",
                },
                "stuck": [{"lane": 1, "reason": "stalled", "queued": 17, "oldest_queued_seconds": 12.345}],
            },
            description="Transfers can be accepted. `degraded`: some of what follows is late, or stuck.",
        ),
        503: shown(
            shapes.Ready,
            {"status": "unavailable", "checks": {"database": "unavailable", "broker": "ok"}, "stuck": []},
            headers=RETRY_AFTER,
            description="PostgreSQL is away, or its schema is not this version's; or the process is stopping.",
        ),
    },
}

REQUESTS: Final[Requests] = {
    "post_wallet": {
        "a person's": {"currency": "EUR"},
        "an operator's": {"currency": "BDT", "external_id": "till 4"},
        "many": [{"currency": "BDT", "external_id": "till 4"}, {"currency": "BDT", "external_id": "till 5"}],
    },
}
