"""Make API keys known: their hashes, whose they are, and what they may do."""

from typing import LiteralString
from uuid import UUID

from psycopg import Connection

# Safe to repeat: a bootstrap that was interrupted is run again with the same key.
REGISTER: LiteralString = """
INSERT INTO api_keys (id, owner_id, key_hash, scopes, created_at)
VALUES (%(id)s, %(owner_id)s, %(key_hash)s, %(scopes)s, statement_timestamp())
ON CONFLICT (key_hash) DO NOTHING
"""


def register_key(tx: Connection, *, key_id: UUID, owner_id: UUID, key_hash: bytes, scopes: list[str]) -> None:
    """Make a key known. It is not in the tables, only its SHA-256 is."""
    tx.execute(REGISTER, {"id": key_id, "owner_id": owner_id, "key_hash": key_hash, "scopes": scopes})
