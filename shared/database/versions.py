"""Say which schema this version works with, and what the database has: `python -m shared.database.versions`."""

import json
import sys
from typing import Final, LiteralString

import psycopg

from shared.database.connections import API, connect
from shared.database.health import REVISION
from shared.settings import Settings, read_settings

READ_VERSIONS: LiteralString = "SELECT current_setting('server_version'), version_num FROM alembic_version"

DATABASE_URL: Final = "--database"
"""With it, the database is asked that the settings name."""


def main() -> None:
    """Print them as one line of JSON; what cannot be found out is null."""
    postgres, schema = _found() if DATABASE_URL in sys.argv else (None, None)
    sys.stdout.write(json.dumps({"postgresql": postgres, "schema": schema, "schema_of_program": REVISION}) + "\n")


def _found() -> tuple[str | None, str | None]:
    settings = read_settings(Settings)
    try:
        with connect(settings.database_url, application_name="hishab-version", timeouts=API) as connection:
            found = connection.execute(READ_VERSIONS).fetchone()
    except psycopg.Error:
        return None, None
    return found or (None, None)


if __name__ == "__main__":
    main()
