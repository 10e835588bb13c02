"""Make the database, or bring it to the newest schema: `python -m shared.database.migrate`."""

import sys
from pathlib import Path
from typing import Final

import psycopg
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from shared.clock import pause
from shared.database.connections import MIGRATION, connect
from shared.database.health import REVISION
from shared.settings import MigrationSettings, read_settings
from shared.telemetry import configure_logging, first_line

log = structlog.get_logger()

# Two that start at once take turns; the number is arbitrary, and nothing else takes advisory locks.
MIGRATION_LOCK: Final = 4_217


# Source: PostgreSQL's own words, in English. In another language it is waited for what will not come, and said so.
REFUSALS: Final = ("authentication failed", "does not exist", "no pg_hba.conf entry")


class SchemaIsNewerError(Exception):
    """The database has a schema that this version does not know. Nothing was changed."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database has schema {revision}, and this version of Hishab knows those up to {REVISION}: "
            "run the newer version that made it, or restore a backup from before."
        )


def main() -> None:
    """Upgrade the schema to the newest, waiting for PostgreSQL as long as it takes."""
    settings = read_settings(MigrationSettings)
    configure_logging(settings.log_format)
    while True:
        try:
            upgrade(settings.database_url, lane_count=settings.lane_count)
        except SchemaIsNewerError as error:
            sys.exit(str(error))
        except OperationalError as error:
            said = first_line(error.orig or error)
            if any(refusal in said for refusal in REFUSALS):
                sys.exit(f"PostgreSQL refuses us, and waiting would not help: {said}. Mend HISHAB_DATABASE_URL.")
            log.warning("schema.waiting_for_postgresql", error=said)
            pause(1)
        else:
            break
    log.info("schema.upgraded", revision=REVISION)


def upgrade(database_url: str, *, lane_count: int) -> None:
    """Bring the schema to the newest; a new database gets `lane_count` lanes, an old one keeps its own.

    Raises:
        SchemaIsNewerError: It is older than the database. Nothing was changed.
        sqlalchemy.exc.OperationalError: PostgreSQL cannot be reached.
    """
    engine = create_engine(
        make_url(database_url).set(drivername="postgresql+psycopg"),
        creator=lambda: _connected(database_url),
        poolclass=NullPool,
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        _refuse_newer(connection)
        command.upgrade(_configuration(connection), "head")
        connection.execute(
            text("INSERT INTO lanes (lane) SELECT generate_series(0, :last) WHERE NOT EXISTS (SELECT FROM lanes)"),
            {"last": lane_count},
        )


def _refuse_newer(connection: Connection) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_configuration()).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        raise SchemaIsNewerError(found)


def _connected(database_url: str) -> psycopg.Connection:
    connection = connect(database_url, application_name="hishab-migrate", timeouts=MIGRATION)
    # SQLAlchemy begins a transaction by leaving it to the driver: a migration is made whole, or not at all.
    connection.autocommit = False
    return connection


def _configuration(connection: Connection | None = None) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    configuration.attributes["connection"] = connection
    return configuration


if __name__ == "__main__":
    main()
