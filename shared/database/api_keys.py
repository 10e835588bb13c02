"""Find API keys: whose they are, and what they may do."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import API_KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Whose key it is, and what it may do."""

    owner_id: UUID
    scopes: list[str]


async def read_key(tx: AsyncConnection, *, key_hash: bytes) -> ApiKey | None:
    """Find a key by its SHA-256. Index: api_keys_key_hash_key."""
    statement = select(API_KEYS.c.owner_id, API_KEYS.c.scopes).where(API_KEYS.c.key_hash == key_hash)
    row = (await tx.execute(statement)).mappings().one_or_none()
    return None if row is None else ApiKey(**row)
