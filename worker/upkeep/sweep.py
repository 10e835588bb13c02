"""Find the lanes that a lost wake-up left behind, and work them here: this needs no broker."""

import structlog

from worker.lanes.worker import LaneWorker

log = structlog.get_logger()


def sweep(worker: LaneWorker, *, age_seconds: float) -> int:
    """Work every lane whose head has waited longer than `age_seconds`, and say how many transfers that ended.

    A lane that somebody is working is left to them, however long its queue is.

    Raises:
        psycopg.Error: PostgreSQL is in trouble; the next sweep tries again.
    """
    lanes = worker.forgotten_lanes(age_seconds=age_seconds)
    applied = sum(worker.work(lane).applied for lane in lanes)
    if lanes and not applied:
        worker.end_silent_holders()
    worker.note_sweep()
    if applied:
        log.info("sweep.applied", transfers=applied)
    return applied
