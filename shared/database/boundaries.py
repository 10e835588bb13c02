"""Make every boundary between two statements a crash point, so that nobody has to remember to add one."""

import inspect
from collections.abc import Mapping
from typing import Any, Final

from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus

from shared import crash_points
from shared.database.patience import PatientAsyncConnection, PatientConnection

NAMED_CALLERS: Final = 2

_OURS: Final = ("api.", "shared.", "worker.")

# What psycopg calls the exchanges that are not simply statements.
_EXCHANGES: Final[Mapping[str, str]] = {
    "_enter_gen": " BEGIN",
    "_exit_gen": " END",
    "_start_copy_gen": " COPY",
    "copy_to": " rows",
    "copy_end": " done",
}


def connection_class() -> type[PatientConnection]:
    """Choose what a process connects with: without crash points, unless these are armed."""
    return _Connection if crash_points.are_armed() else PatientConnection


def async_connection_class() -> type[PatientAsyncConnection]:
    """Choose the same for the edge."""
    return _AsyncConnection if crash_points.are_armed() else PatientAsyncConnection


class _Connection(PatientConnection):
    """Passes a crash point before each exchange with PostgreSQL, and after each that leaves no transaction open.

    Whatever psycopg sends goes through `wait`. Between two statements of a transaction one point is enough: nothing is
    done there that anybody else could see.
    """

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:  # noqa: ANN401 (passed on)
        if (point := _point(gen)) is None:
            return super().wait(gen, *args, **kwargs)
        crash_points.reach(f"before {point}")
        result = super().wait(gen, *args, **kwargs)
        if self.pgconn.transaction_status == TransactionStatus.IDLE:
            crash_points.reach(f"after {point}")
        return result


class _AsyncConnection(PatientAsyncConnection):
    """The same for the edge."""

    async def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:  # noqa: ANN401 (passed on)
        if (point := _point(gen)) is None:
            return await super().wait(gen, *args, **kwargs)
        crash_points.reach(f"before {point}")
        result = await super().wait(gen, *args, **kwargs)
        if self.pgconn.transaction_status == TransactionStatus.IDLE:
            crash_points.reach(f"after {point}")
        return result


def _point(exchange: PQGen[Any]) -> str | None:
    """Name an exchange after the function that asks for it, and the one before: `apply._keep ledger.keep_lane`.

    None for one that sends nothing: psycopg has it when a connection of ours is let go of.
    """
    kind: str = getattr(exchange, "__name__", "")
    if kind == "_commit_gen":
        return None
    callers: list[str] = []
    frame = inspect.currentframe()
    while frame is not None and len(callers) < NAMED_CALLERS:
        module: str = frame.f_globals["__name__"]
        if module.startswith(_OURS) and module != __name__:
            callers.append(f"{module.rpartition('.')[2]}.{frame.f_code.co_name}")
        frame = frame.f_back
    return " ".join(reversed(callers)) + _EXCHANGES.get(kind, "")
