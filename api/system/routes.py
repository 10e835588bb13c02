"""Look at the system as a whole: how much money there is, and whether any is missing."""

from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Path, Response

from api import problems
from api.caller import Caller, FromCaller, needs
from api.operations import operation_id
from api.paging import FromPage, Listing, number
from api.parts import InTransaction
from api.strict import Id, StrictRoute
from api.system.schemas import show_audit, show_lane, show_unprocessable
from api.webhook_endpoints.schemas import show_health
from shared.database.audits import read_audit, request_audit
from shared.database.endpoints import Due, list_endpoints, read_due
from shared.database.health import read_lanes
from shared.database.lanes import start_lane
from shared.database.transfers import list_unprocessable
from shared.database.wallets import read_issued
from shared.domain.errors import (
    AuditNotFound,
    CursorInvalid,
    LaneNotFound,
    NotAuthenticated,
    ScopeMissing,
    ServiceUnavailable,
)
from shared.domain.scope import OPERATOR
from shared.identifiers import new_id

log = structlog.get_logger()

LANE_MAX: Final = 64
"""As many as a database may be made with."""

router = APIRouter(tags=["system"], route_class=StrictRoute, generate_unique_id_function=operation_id)


@router.get(
    "/v1/system/balance",
    summary="Show how much money was issued",
    responses=problems.documented(NotAuthenticated, ServiceUnavailable),
)
async def get_system_balance(caller: FromCaller, tx: InTransaction) -> dict[str, Any]:
    """Show how much money was issued, per currency: the sum over all wallets that do not issue any."""
    del caller  # anybody with credentials may ask, as before
    issued = await read_issued(tx)
    return {"data": [{"currency": currency, "balance": balance} for currency, balance in issued.items()]}


@router.get(
    "/v1/system/unprocessable-transfers",
    summary="List unprocessable transfers",
    responses=problems.documented(NotAuthenticated, ScopeMissing, CursorInvalid, ServiceUnavailable),
)
async def get_unprocessable_transfers(
    operator: Annotated[Caller, needs(OPERATOR)],
    tx: InTransaction,
    asked: FromPage,
) -> dict[str, Any]:
    """List what ended through a defect of ours, newest first, with what went wrong. No money moved."""
    listing = Listing(name="unprocessable transfers", owner_id=str(operator.owner_id))
    before = listing.position(asked.cursor, read=number)
    rows = await list_unprocessable(tx, before=before, limit=asked.rows_to_read)
    return asked.page(
        rows,
        listing=listing,
        position=lambda found: found.transfer.position,
        show=lambda found: show_unprocessable(found, viewer_id=operator.owner_id),
    )


@router.get(
    "/v1/system/lanes",
    summary="List lanes",
    responses=problems.documented(NotAuthenticated, ScopeMissing, ServiceUnavailable),
)
async def get_lanes(operator: Annotated[Caller, needs(OPERATOR)], tx: InTransaction) -> dict[str, Any]:
    """List how each lane gets on; what is queued is counted up to 10,000, and beyond that at most so much."""
    del operator
    return {"data": [show_lane(state) for state in await read_lanes(tx)]}


@router.post(
    "/v1/system/lanes/{lane}/start",
    summary="Start a lane that was stopped",
    responses=problems.documented(NotAuthenticated, ScopeMissing, LaneNotFound, ServiceUnavailable),
)
async def post_lane_start(
    lane: Annotated[int, Path(ge=1, le=LANE_MAX)], operator: Annotated[Caller, needs(OPERATOR)], tx: InTransaction
) -> dict[str, Any]:
    """Let a lane go on that too many defects have stopped, once their cause is mended. Safe to repeat."""
    state = await start_lane(tx, lane)
    if state is None:
        raise LaneNotFound
    log.warning("lane.started", lane=lane, owner_id=str(operator.owner_id))
    return show_lane(state)


@router.post(
    "/v1/system/audits",
    summary="Ask for an audit",
    status_code=202,
    responses=problems.documented(NotAuthenticated, ScopeMissing, ServiceUnavailable),
)
async def post_audit(
    operator: Annotated[Caller, needs(OPERATOR)], tx: InTransaction, response: Response
) -> dict[str, Any]:
    """Ask that the whole ledger be audited; upkeep does it in the background."""
    del operator
    audit = show_audit(await request_audit(tx, new_id()))
    response.headers["Location"] = audit["links"]["self"]
    response.headers["Retry-After"] = "1"
    return audit


@router.get(
    "/v1/system/audits/{audit_id}",
    summary="Show an audit",
    responses=problems.documented(NotAuthenticated, ScopeMissing, AuditNotFound, ServiceUnavailable),
)
async def get_audit(audit_id: Id, operator: Annotated[Caller, needs(OPERATOR)], tx: InTransaction) -> dict[str, Any]:
    """Show what an audit found."""
    del operator
    audit = await read_audit(tx, audit_id)
    if audit is None:
        raise AuditNotFound
    return show_audit(audit)


@router.get(
    "/v1/system/webhook-endpoints",
    summary="List everybody's webhook endpoints",
    responses=problems.documented(NotAuthenticated, ScopeMissing, CursorInvalid, ServiceUnavailable),
)
async def get_system_endpoints(
    operator: Annotated[Caller, needs(OPERATOR)],
    tx: InTransaction,
    asked: FromPage,
) -> dict[str, Any]:
    """List everybody's endpoints, newest first: how each fares, and how much is due to it (counted up to 10,000)."""
    listing = Listing(name="everybody's webhook endpoints", owner_id=str(operator.owner_id))
    before = listing.position(asked.cursor, read=UUID)
    rows = await list_endpoints(tx, None, before=before, limit=asked.rows_to_read)
    due = await read_due(tx, [endpoint.id for endpoint in rows])
    return asked.page(
        rows,
        listing=listing,
        position=lambda endpoint: endpoint.id,
        show=lambda endpoint: show_health(endpoint, due.get(endpoint.id, Due())),
    )
