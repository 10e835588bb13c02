"""Hang up on a PostgreSQL that takes whatever is sent to it and answers nothing.

Where a server is frozen, or a proxy has lost its other side, somebody still acknowledges what arrives, so that neither
keepalives nor tcp_user_timeout notice anything; and libpq itself waits for an answer for ever.
"""

from typing import Any

from psycopg import AsyncConnection, Connection, OperationalError
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

LOOK_SECONDS = 0.1
"""How often psycopg looks up from waiting; its own default."""


class PatientConnection(Connection[Any]):
    """Waits for each answer so long and no longer. Whatever psycopg sends goes through `wait`.

    Attributes:
        answer_seconds_max: Longer than PostgreSQL's own time limit; None for ever.
    """

    answer_seconds_max: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = LOOK_SECONDS, timeout: float | None = None) -> RV:
        """Exchange something with PostgreSQL.

        Raises:
            OperationalError: There was no answer in time, and the connection is closed.
        """
        try:
            return super().wait(gen, interval, self.answer_seconds_max if timeout is None else timeout)
        except OperationalError:
            _hang_up_if_owed(self.pgconn)
            raise


class PatientAsyncConnection(AsyncConnection[Any]):
    """The same for the edge."""

    answer_seconds_max: float | None = None

    async def wait(self, gen: PQGen[RV], interval: float = LOOK_SECONDS, timeout: float | None = None) -> RV:  # noqa: ASYNC109 (psycopg's)
        """Exchange something with PostgreSQL, as above."""
        try:
            return await super().wait(gen, interval, self.answer_seconds_max if timeout is None else timeout)
        except OperationalError:
            _hang_up_if_owed(self.pgconn)
            raise


def _hang_up_if_owed(pgconn: PGconn) -> None:
    """Close a connection on which an answer is still to come. Cancelling would need a server that answers, too."""
    if pgconn.transaction_status == TransactionStatus.ACTIVE:
        pgconn.finish()
