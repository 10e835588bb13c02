"""Do what has to be done again and again: sweep lanes, audit, recover, forget. A plain process, without a broker."""

import signal
import threading
from collections.abc import Callable
from typing import Final

import psycopg
import structlog

from shared.database.auditing import audit_is_wanted
from shared.database.connections import AUDIT, WORKER, connect
from shared.queue import DELIVER, WakeUps
from shared.settings import WorkerSettings
from shared.telemetry import first_line
from worker.lanes.worker import LaneWorker
from worker.upkeep.audit import audit
from worker.upkeep.forget import forget
from worker.upkeep.horizon import advance_horizon
from worker.upkeep.sweep import sweep
from worker.webhooks.recover import recover

log = structlog.get_logger()

SWEEP_INTERVAL_SECONDS: Final = 0.5
AUDIT_INTERVAL_SECONDS: Final = 0.5
HORIZON_INTERVAL_SECONDS: Final = 0.25
"""At 20,000 transfers a second 5,000 dead rows: about half a millisecond (docs/decisions/0027)."""
FORGET_INTERVAL_SECONDS: Final = 600.0
RECOVERY_INTERVAL_SECONDS: Final = 0.5
RECOVERY_PAUSE_SECONDS: Final = 0.02
"""Between two pages, so that a lane and whoever reads are not kept waiting."""


def run(settings: WorkerSettings) -> None:
    """Run until told to stop (SIGTERM, SIGINT)."""
    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    wake_ups = WakeUps(settings.broker_url)
    # An audit may take minutes, and the sweep may not wait for it.
    audits = threading.Thread(target=_audit_repeatedly, args=(settings, stopping), name="audits", daemon=True)
    audits.start()
    forgetting = threading.Thread(target=_forget_repeatedly, args=(settings, stopping), name="forgetting", daemon=True)
    forgetting.start()
    horizon = threading.Thread(target=_advance_repeatedly, args=(settings, stopping), name="horizon", daemon=True)
    horizon.start()
    recoveries = threading.Thread(
        target=_recover_repeatedly, args=(settings, stopping, wake_ups), name="recoveries", daemon=True
    )
    recoveries.start()
    log.info("upkeep.started")
    worker = LaneWorker(database_url=settings.database_url, wake_ups=wake_ups, application_name="hishab-upkeep")
    _repeat(
        lambda: sweep(worker, age_seconds=settings.sweep_age_seconds),
        stopping=stopping,
        interval_seconds=SWEEP_INTERVAL_SECONDS,
        after_trouble=worker.disconnect,
    )
    wake_ups.stop()
    log.info("upkeep.stopped")


def _audit_repeatedly(settings: WorkerSettings, stopping: threading.Event) -> None:
    def audit_all() -> None:
        # An audit's own connection may be silent for an hour. One that only asks may not, and would be missed soon.
        with connect(settings.database_url, application_name="hishab-audit", timeouts=WORKER) as connection:
            while not stopping.wait(AUDIT_INTERVAL_SECONDS):
                if audit_is_wanted(connection):
                    audit_one()

    def audit_one() -> None:
        with connect(settings.database_url, application_name="hishab-audit", timeouts=AUDIT) as connection:
            audit(connection)

    _repeat(audit_all, stopping=stopping, interval_seconds=AUDIT_INTERVAL_SECONDS, after_trouble=lambda: None)


def _advance_repeatedly(settings: WorkerSettings, stopping: threading.Event) -> None:
    def advance_all() -> None:
        with connect(settings.database_url, application_name="hishab-horizon", timeouts=WORKER) as connection:
            while not stopping.wait(HORIZON_INTERVAL_SECONDS):
                advance_horizon(connection)

    _repeat(advance_all, stopping=stopping, interval_seconds=HORIZON_INTERVAL_SECONDS, after_trouble=lambda: None)


def _forget_repeatedly(settings: WorkerSettings, stopping: threading.Event) -> None:
    def forget_all() -> None:
        with connect(settings.database_url, application_name="hishab-forget", timeouts=WORKER) as connection:
            forget(connection)

    _repeat(forget_all, stopping=stopping, interval_seconds=FORGET_INTERVAL_SECONDS, after_trouble=lambda: None)


def _recover_repeatedly(settings: WorkerSettings, stopping: threading.Event, wake_ups: WakeUps) -> None:
    def recover_all() -> None:
        with connect(settings.database_url, application_name="hishab-recovery", timeouts=WORKER) as connection:
            found = False
            while not stopping.wait(RECOVERY_PAUSE_SECONDS if found else RECOVERY_INTERVAL_SECONDS):
                found = recover(connection)
                if found:
                    wake_ups.send(DELIVER)

    _repeat(recover_all, stopping=stopping, interval_seconds=RECOVERY_INTERVAL_SECONDS, after_trouble=lambda: None)


def _repeat(
    act: Callable[[], object],
    *,
    stopping: threading.Event,
    interval_seconds: float,
    after_trouble: Callable[[], None],
) -> None:
    """Act again and again, whatever becomes of it."""
    while not stopping.wait(interval_seconds):
        try:
            act()
        except psycopg.Error as error:
            log.warning("upkeep.interrupted", error=first_line(error))
            after_trouble()
        except Exception:
            # A defect of ours in one round must not end the process that everything else relies on.
            log.exception("upkeep.failed")
            after_trouble()
