"""Shape what is answered about the system as a whole."""

from typing import Any
from uuid import UUID

from shared.database.audits import Audit
from shared.database.health import LaneState
from shared.database.transfers import UnprocessableTransfer
from shared.domain import wire


def show_audit(audit: Audit) -> dict[str, Any]:
    """Show how an audit stands, and once it is finished what it found."""
    report = audit.report or {"holds": None, "summed": None, "violations": []}
    status = "finished" if audit.finished_at else "running" if audit.started_at else "queued"
    return {
        "id": str(audit.id),
        "status": status,
        **report,
        "requested_at": wire.moment(audit.requested_at),
        "started_at": wire.moment(audit.started_at) if audit.started_at else None,
        "finished_at": wire.moment(audit.finished_at) if audit.finished_at else None,
        "links": {"self": f"/v1/system/audits/{audit.id}"},
    }


def show_lane(state: LaneState) -> dict[str, Any]:
    """Show an operator how a lane gets on; careful: a few transfers at a time, since a worker died in it."""
    status = "stopped" if state.stopped else "careful" if state.careful_transfers_left else "working"
    return {
        "lane": state.lane,
        "status": status,
        "queued": state.queued,
        "oldest_queued_seconds": round(state.oldest_seconds, 3),
        "last_applied_at": None if state.last_applied_at is None else wire.moment(state.last_applied_at),
    }


def show_unprocessable(found: UnprocessableTransfer, *, viewer_id: UUID) -> dict[str, Any]:
    """Show an operator a transfer that a defect of ours ended; its metadata is the payer's alone all the same."""
    return {**wire.reading(found.transfer, ending=found.ending, viewer_id=viewer_id), "defect": found.defect}
