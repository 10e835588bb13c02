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
    applied = 0
    for lane in worker.forgotten_lanes(age_seconds=age_seconds):
        applied += worker.work(lane).applied
    worker.note_sweep()
    if applied:
        log.info("sweep.applied", transfers=applied)
    return applied
