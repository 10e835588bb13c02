"""Keep transfers queued while a journey looks at them: hold the lanes, as a worker would that is busy in them."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg

from tests.running_system import System


@contextmanager
def queue_held(system: System) -> Generator[None]:
    """Let nothing be applied until the block is left."""
    with psycopg.connect(system.database_url) as connection, connection.transaction():
        connection.execute("SELECT lane FROM lanes FOR NO KEY UPDATE")
        yield
