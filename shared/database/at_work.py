"""Say whether a process gets PostgreSQL to do something: what its health check looks for."""

from datetime import datetime
from typing import LiteralString

from psycopg import Connection

READ_TIME: LiteralString = "SELECT clock_timestamp()"

# Who asks and who is asked for may both come through a pooler, whose address is then what they share.
READ_AT_WORK: LiteralString = """
SELECT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE application_name = %(application_name)s AND datname = current_database()
      AND client_addr IS NOT DISTINCT FROM inet_client_addr()
      AND state_change > %(since)s
)
"""


def read_time(connection: Connection) -> datetime:
    """Say what time it is for PostgreSQL."""
    row = connection.execute(READ_TIME).fetchone()
    assert row is not None
    return row[0]


def is_at_work(connection: Connection, *, application_name: str, since: datetime) -> bool:
    """Say whether a process under that name, on the machine that asks, has had PostgreSQL do something since then."""
    row = connection.execute(READ_AT_WORK, {"application_name": application_name, "since": since}).fetchone()
    return row is not None and bool(row[0])
