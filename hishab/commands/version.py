"""`hishab version`: say which versions are at work here, for a bug report."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version

from hishab.commands.options import DATA_DIR, AsJson, DataDir
from hishab.connection import announced_on
from hishab.data_directory import Running

# Source: the five seconds after which a connection is given up, and as much for starting Python on a busy machine.
ANSWER_SECONDS_MAX = 10.0


def run(*, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Show the versions of Hishab and Python, and of a running database.

    Example: hishab version
    """
    running = announced_on(data_dir)
    found = {"hishab": version("hishab"), "python": platform.python_version(), **_of_database(running)}
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"Hishab      {found['hishab']}, for schema {found['schema_of_program'] or 'unknown'}")
    print(f"Python      {found['python']}")
    if running is None:
        print(f"PostgreSQL  unknown, as no Hishab runs on {data_dir}")
    else:
        print(f"PostgreSQL  {found['postgresql'] or 'does not answer'}, with schema {found['schema'] or 'unknown'}")


def _of_database(running: Running | None) -> Mapping[str, str | None]:
    """Ask a process of the server's, which may talk to the database: the command line never does."""
    command = [sys.executable, "-P", "-m", "shared.database.versions"]
    environment = dict(os.environ)
    if running is not None:
        command.append("--database")
        environment["HISHAB_DATABASE_URL"] = running.database_url
    try:
        said = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=ANSWER_SECONDS_MAX, check=True
        )
        return json.loads(said.stdout)
    except (subprocess.SubprocessError, ValueError):
        return dict.fromkeys(("postgresql", "schema", "schema_of_program"))
