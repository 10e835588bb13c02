"""Keep one connection to PostgreSQL, for as long as there is no trouble with it."""

from psycopg import Connection

from shared.database.connections import WORKER, connect


class Line:
    """A connection that is made when it is needed, and made anew after trouble. For one thread at a time."""

    def __init__(self, database_url: str) -> None:
        """Connect nowhere yet."""
        self._database_url = database_url
        self._connection: Connection | None = None

    def connected(self) -> Connection:
        """Return the connection.

        Raises:
            psycopg.OperationalError: PostgreSQL cannot be reached, or refuses.
        """
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._database_url, application_name="hishab-webhooks", timeouts=WORKER)
        return self._connection

    def drop(self) -> None:
        """Let go of the connection, and with it of whatever was under way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
