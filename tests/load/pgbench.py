"""Measure what PostgreSQL does with one transfer a transaction (R1), and with pgbench's own script (R2)."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg

from tests.load.servers import Servers

DATABASE = "reference"
CLIENTS = (2, 8, 16)
THREADS_MAX = 2
SECONDS_SPARE = 60

# A ledger as somebody would write it by hand: everything an account of money needs, nothing that Hishab adds.
SCHEMA: LiteralString = """
CREATE TABLE IF NOT EXISTS accounts (
    id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 70);
CREATE TABLE IF NOT EXISTS movements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id bigint NOT NULL, destination_id bigint NOT NULL, amount bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS movement_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    movement_id bigint NOT NULL, account_id bigint NOT NULL, amount bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS movement_entries_account_id_idx ON movement_entries (account_id, id);
INSERT INTO accounts (id, balance) SELECT id, 1000000000 FROM generate_series(1, 10000) AS id;
"""

CHOOSE_SPREAD = """\\set source random(1, 10000)
\\set destination 1 + mod(:source + random(0, 9998), 10000)
"""
CHOOSE_HOT = """\\set source random(2, 10000)
\\set destination 1
"""
MOVE = """BEGIN;
SELECT id, balance FROM accounts WHERE id IN (:source, :destination) ORDER BY id FOR NO KEY UPDATE;
UPDATE accounts SET balance = balance - 1 WHERE id = :source;
UPDATE accounts SET balance = balance + 1 WHERE id = :destination;
INSERT INTO movements (source_id, destination_id, amount) VALUES (:source, :destination, 1) RETURNING id \\gset
INSERT INTO movement_entries (movement_id, account_id, amount) VALUES (:id, :source, -1), (:id, :destination, 1);
COMMIT;
"""

TPS = re.compile(r"tps = ([\d.]+)")
LATENCY = re.compile(r"latency average = ([\d.]+) ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A hand-written ledger in a database of its own, and pgbench's tables beside it."""

    servers: Servers
    spread: Path
    hot: Path

    @classmethod
    def on(cls, servers: Servers) -> "Reference":
        """Make the tables."""
        url = servers.create_database(DATABASE)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SCHEMA)
            connection.execute("VACUUM ANALYZE accounts")
        command, environment = servers.pgbench(DATABASE, "--initialize", "--scale", "10", "--quiet")
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=SECONDS_SPARE)
        spread, hot = servers.place / "spread.sql", servers.place / "hot.sql"
        spread.write_text(CHOOSE_SPREAD + MOVE)
        hot.write_text(CHOOSE_HOT + MOVE)
        return cls(servers=servers, spread=spread, hot=hot)

    def transfers_per_second(self, script: Path, *, seconds: int) -> float:
        """Measure R1 with each number of clients; the best counts."""
        return max(
            _found(TPS, self._run("--file", str(script), clients=clients, seconds=seconds)) for clients in CLIENTS
        )

    def one_client_ms(self, *, seconds: int) -> float:
        """Measure how long a transfer takes that is alone: the unit in which latencies travel between machines."""
        return _found(LATENCY, self._run("--file", str(self.spread), clients=1, seconds=seconds))

    def commits_per_second(self, *, seconds: int) -> float:
        """Measure R2 with each number of clients; the best counts."""
        return max(_found(TPS, self._run(clients=clients, seconds=seconds)) for clients in CLIENTS)

    def _run(self, *words: str, clients: int, seconds: int) -> str:
        options = ["--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(clients, THREADS_MAX)}"]
        command, environment = self.servers.pgbench(DATABASE, *options, f"--time={seconds}", *words)
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=seconds + SECONDS_SPARE
        ).stdout


def _found(pattern: re.Pattern[str], said: str) -> float:
    found = pattern.search(said)
    assert found is not None, said
    return float(found[1])
