"""Log: one line per event of interest, a name and fields, readable in a terminal or as JSON in an image."""

import logging
import sys
import traceback
from types import TracebackType
from typing import Literal

import structlog


def configure_logging(log_format: Literal["console", "json"]) -> None:
    """Send structlog's events and the standard library's warnings to standard output, in one form."""
    shared_steps: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last_step: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), pad_event_to=0)
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_steps,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(tell_exception),
                last_step,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # Celery would log two lines for every wake-up.
    for noisy in ("alembic", "celery", "kombu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared_steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    sys.excepthook = _log_crash


def _log_crash(kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
    """Log what ends the process as everything else is logged, and not with all it says."""
    del kind, stack
    if isinstance(error, KeyboardInterrupt):
        return
    structlog.get_logger().critical("process.crashed", exc_info=error)


def tell_exception(exc_info: structlog.types.ExcInfo) -> str:
    """Tell of an exception and what led to it: where, of what kind, and the first line of what it says.

    Further lines are PostgreSQL's DETAIL, which is the row: an email, a hash. Local variables are never shown; one of
    them may be a PIN.
    """
    told: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        stack = "".join(traceback.format_tb(error.__traceback__))
        told.append(f"{stack}{type(error).__qualname__}: {first_line(error)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(reversed(told))


def first_line(error: BaseException) -> str:
    """Return what may be logged of what an exception says."""
    return str(error).partition("\n")[0]
