"""Report what went wrong to Sentry, for those who set it up: what failed and where, and nobody's data."""

import importlib
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final, cast

NOT_INSTALLED: Final = "HISHAB_SENTRY_DSN is set, but sentry-sdk is not installed. Install hishab[sentry], or unset it."
NOT_A_DSN: Final = "HISHAB_SENTRY_DSN is no DSN of Sentry: it looks like https://key@host/number."

TOLD: Final = frozenset(
    {"audit_id", "check", "constraint", "count", "delivery_id", "endpoint_id", "lane", "request_id", "requests"}
    | {"sqlstate", "task", "transfer_id", "transfers", "unprocessable_in_a_row"}
)
"""What of a log line leaves the house: ids, numbers and names of our own. What an error says stays in the log, since it
may quote what it was about; the request's or the transfer's id leads there."""

OWN_LOGGERS: Final = ("sentry_sdk", "urllib3")
"""Whose errors would be reports about reporting."""


def report_crashes(dsn: str | None, *, process: str) -> None:
    """Send every error that is logged from now on, and what ends the process, to Sentry; without a DSN do nothing.

    Raises:
        SystemExit: It was asked for and cannot be done; says why.
    """
    if not dsn:
        return
    try:
        # Only here: whoever reports nothing need not have it.
        sdk: Any = importlib.import_module("sentry_sdk")
        at_exit: Any = importlib.import_module("sentry_sdk.integrations.atexit")
    except ImportError:
        sys.exit(NOT_INSTALLED)
    try:
        sdk.init(
            dsn=dsn,
            release=f"hishab@{version('hishab')}",
            # Nothing is found out by itself: no bodies, headers, local variables, arguments or queries.
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[at_exit.AtexitIntegration(callback=_end_quietly)],
            auto_session_tracking=False,
            send_default_pii=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
        )
    except ValueError:
        sys.exit(NOT_A_DSN)
    logging.getLogger().addHandler(_Reports(sdk.capture_event, process=process))


def report_of(record: logging.LogRecord, *, process: str) -> dict[str, Any]:
    """Make what is sent of a log line."""
    # structlog hands its whole line on as the message.
    line: Any = record.msg
    told: Mapping[str, Any] = cast("Mapping[str, Any]", line) if isinstance(line, dict) else {}
    name = str(told.get("event") or record.name)
    error = _error_of(told.get("exc_info") or record.exc_info)
    report: dict[str, Any] = {
        "level": "fatal" if record.levelno >= logging.CRITICAL else "error",
        "logger": record.name,
        "logentry": {"message": name},
        "fingerprint": [name, type(error).__qualname__],
        "tags": {"process": process},
        "extra": {field: str(value) for field, value in told.items() if field in TOLD},
    }
    if error is not None:
        report["exception"] = {"values": [_told(error)]}
    return report


def _error_of(exc_info: Any) -> BaseException | None:  # noqa: ANN401 (an exception, a triple of sys.exc_info, or True)
    """Find the exception that a line is about, however its logger was told of it."""
    if exc_info is True:
        return sys.exc_info()[1]
    if isinstance(exc_info, BaseException):
        return exc_info
    return exc_info[1] if exc_info else None


def _told(error: BaseException) -> dict[str, Any]:
    frames = [
        {"filename": frame.filename, "function": frame.name, "lineno": frame.lineno}
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return {"type": type(error).__qualname__, "module": type(error).__module__, "stacktrace": {"frames": frames}}


def _end_quietly(pending: int, timeout_seconds: float) -> None:
    """Say nothing of reports that are still on their way when the process ends; they get two seconds."""
    del pending, timeout_seconds


class _Reports(logging.Handler):
    """Reports what is logged as an error or worse."""

    def __init__(self, capture: Callable[[dict[str, Any]], object], *, process: str) -> None:
        super().__init__(logging.ERROR)
        self._capture = capture
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(OWN_LOGGERS):
            return
        try:
            self._capture(report_of(record, process=self._process))
        except Exception:  # noqa: BLE001 (whatever goes wrong with reporting goes wrong with nothing else)
            self.handleError(record)
