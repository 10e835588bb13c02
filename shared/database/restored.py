"""Let a database that was restored to an earlier time go on: `python -m shared.database.restored`.

Whoever kept a cursor from the time that is lost would otherwise miss as many events as were lost, since their numbers
would come twice. And what was logged out meanwhile would be logged in again.
"""

from dataclasses import dataclass
from typing import Final, LiteralString

import structlog
from psycopg import Connection
from psycopg.rows import class_row

from shared.database.connections import MIGRATION, connect
from shared.settings import Settings, read_settings
from shared.telemetry import configure_logging

log = structlog.get_logger()

LEAP: Final = 10**12
"""More than a year at 20,000 a second, and a bigint has room for nine million of them. Source: decision 29."""

# Locks the lanes, lowest first (lanes_pkey), as nobody else takes more than one: waits for whoever works them.
LOCK_LANES: LiteralString = "SELECT lane FROM lanes ORDER BY lane FOR NO KEY UPDATE"

LEAP_EVENTS: LiteralString = "UPDATE lanes SET event_number = event_number + %(leap)s"

LEAP_POSITIONS: LiteralString = (
    "SELECT setval('transfer_position', (SELECT last_value FROM transfer_position) + %(leap)s)"
)

# The sessions first, then their tokens, as whoever ends one does.
END_SESSIONS: LiteralString = """
UPDATE sessions SET revoked_at = statement_timestamp(), ends_at = statement_timestamp() WHERE revoked_at IS NULL
"""

END_TOKENS: LiteralString = """
UPDATE refresh_tokens SET ends_at = statement_timestamp() WHERE ends_at > statement_timestamp()
"""

# What whoever restored it has to look at: all of these may have been revoked in the time that is lost.
SUM_UP: LiteralString = """
SELECT (SELECT max(created_at)::text FROM events) AS last_event_at,
       (SELECT max(created_at)::text FROM transfers) AS last_accepted_at,
       (SELECT count(*) FROM queue) AS queued,
       (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending') AS webhooks_owed,
       (SELECT count(*) FROM api_keys
        WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > statement_timestamp())) AS api_keys_alive
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restored database holds, and how far its past goes."""

    last_event_at: str | None
    last_accepted_at: str | None
    queued: int
    webhooks_owed: int
    api_keys_alive: int


def main() -> None:
    """Number what comes from here on far ahead, and log everybody out. Safe to repeat, and beside running parts."""
    settings = read_settings(Settings)
    configure_logging(settings.log_format)
    with connect(settings.database_url, application_name="hishab-restored", timeouts=MIGRATION) as connection:
        sessions_ended = go_on(connection)
        found = sum_up(connection)
    log.info(
        "database.goes_on",
        last_accepted_at=found.last_accepted_at,
        last_event_at=found.last_event_at,
        queued=found.queued,
        webhooks_owed=found.webhooks_owed,
        api_keys_alive=found.api_keys_alive,
        sessions_ended=sessions_ended,
    )


def go_on(connection: Connection) -> int:
    """Leap over every number that may have been given, and end every session; say how many there were."""
    with connection.transaction():
        connection.execute(LOCK_LANES)
        connection.execute(LEAP_EVENTS, {"leap": LEAP})
        connection.execute(LEAP_POSITIONS, {"leap": LEAP})
        ended = connection.execute(END_SESSIONS).rowcount
        connection.execute(END_TOKENS)
    return ended


def sum_up(connection: Connection) -> Restored:
    """Say what there is."""
    with connection.cursor(row_factory=class_row(Restored)) as cursor:
        found = cursor.execute(SUM_UP).fetchone()
    assert found is not None, "it has no FROM"
    return found


if __name__ == "__main__":
    main()
