"""Add lanes to a database: `python -m shared.database.lane_count COUNT`, with the API stopped and the queue empty."""

import argparse
import sys
from typing import Final, LiteralString

import structlog
from psycopg import Connection
from psycopg.rows import scalar_row

from shared.database.connections import INTAKE_NAME, MIGRATION, connect
from shared.domain.lane import LANES_MAX
from shared.settings import Settings, read_settings
from shared.telemetry import configure_logging

log = structlog.get_logger()

# Read once, when a process starts: the count is chosen when the database is made. Lane 0 is nobody's.
COUNT_LANES: LiteralString = "SELECT count(*) FROM lanes WHERE lane > 0"

# An edge reads the count when it starts, and would go on to put transfers in the lanes of before.
COUNT_EDGES: LiteralString = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %(name)s
"""

# Nobody accepts until the end of the transaction: acceptance inserts, which waits for this lock.
CLOSE_QUEUE: LiteralString = "LOCK TABLE queue IN SHARE ROW EXCLUSIVE MODE"

COUNT_QUEUED: LiteralString = "SELECT count(*) FROM queue"

# Time never runs backwards in a lane, nor for a wallet that comes into another one.
ADD_LANES: LiteralString = """
INSERT INTO lanes (lane, last_applied_at)
SELECT new.lane, (SELECT max(last_applied_at) FROM lanes)
FROM generate_series((SELECT max(lane) + 1 FROM lanes), %(count)s) AS new (lane)
"""

WITHOUT_G4: Final = "with several lanes a transfer may be refused while an earlier credit waits in another lane"


class LanesStayError(Exception):
    """The count cannot be changed as things stand; the message says why, and what to do."""


def count_lanes(connection: Connection) -> int:
    """Count the lanes that transfers are spread over."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(COUNT_LANES).fetchone() or 0)


def main() -> None:
    """Add as many lanes as make up the count on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, metavar="COUNT", help=f"how many lanes there shall be, at most {LANES_MAX}")
    count: int = parser.parse_args().count
    settings = read_settings(Settings)
    configure_logging(settings.log_format)
    with connect(settings.database_url, application_name="hishab-lane-count", timeouts=MIGRATION) as connection:
        try:
            before = change(connection, count=count)
        except LanesStayError as error:
            sys.exit(str(error))
    if before == 1 < count:
        log.warning("lanes.no_longer_one", so=WITHOUT_G4)
    log.info("lanes.counted", before=before, now=count)


def change(connection: Connection, *, count: int) -> int:
    """Change how many lanes there are, and say how many there were.

    Raises:
        LanesStayError: The API runs, transfers are queued, or lanes would have to go.
    """
    if count > LANES_MAX:
        raise LanesStayError(f"There can be {LANES_MAX} lanes at most.")
    with connection.transaction(), connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(CLOSE_QUEUE)
        before = count_lanes(connection)
        if count < before:
            # The feed reads lane by lane.
            raise LanesStayError(f"There are {before} lanes, and none can go: events are numbered in them.")
        if cursor.execute(COUNT_EDGES, {"name": INTAKE_NAME}).fetchone():
            raise LanesStayError("The API runs, and knows the lanes of before only: stop every process of it first.")
        if queued := cursor.execute(COUNT_QUEUED).fetchone():
            raise LanesStayError(f"{queued} transfers are queued: let the workers apply them first.")
        cursor.execute(ADD_LANES, {"count": count})
    return before


if __name__ == "__main__":
    main()
