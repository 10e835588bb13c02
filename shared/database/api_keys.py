"""Keep API keys: whose they are, what they may do, until when."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import API_KEYS

# By the SHA-256 of a key (api_keys_key_hash_key); PostgreSQL's clock says whether it has expired.
READ_KEY: LiteralString = """
SELECT id, owner_id, scopes,
       CAST(extract(epoch FROM expires_at - statement_timestamp()) AS float) AS seconds_left,
       last_used_at IS NULL OR last_used_at < statement_timestamp() - interval '1 minute' AS is_use_news
FROM api_keys
WHERE key_hash = :key_hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > statement_timestamp())
"""

# At most once a minute, also where several ask at once: each looks again once it has the row (api_keys_pkey).
NOTE_USE: LiteralString = """
UPDATE api_keys SET last_used_at = statement_timestamp()
WHERE id = :id AND (last_used_at IS NULL OR last_used_at < statement_timestamp() - interval '1 minute')
"""

# One at a time an owner, until the transaction ends: the second of two that race for the last place sees the first.
LOCK_KEYS: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended(:owner_id, 1))"

# Index: api_keys_owner_id_idx.
INSERT_KEY: LiteralString = """
INSERT INTO api_keys (id, owner_id, name, key_hash, scopes, created_at, expires_at)
SELECT CAST(:id AS uuid), CAST(:owner_id AS uuid), CAST(:name AS text), CAST(:key_hash AS bytea),
       CAST(:scopes AS text[]), statement_timestamp(), CAST(:expires_at AS timestamptz)
WHERE (
    SELECT count(*) FROM api_keys
    WHERE owner_id = CAST(:owner_id AS uuid) AND revoked_at IS NULL
      AND (expires_at IS NULL OR expires_at > statement_timestamp())
) < 100
RETURNING created_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that is good: whose it is, what it may do, and for how many seconds more, unless for ever."""

    owner_id: UUID
    scopes: list[str]
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as its owner sees it. The key itself is kept nowhere."""

    id: UUID
    name: str | None
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


_COLUMNS = tuple(API_KEYS.c[field.name] for field in fields(ApiKey))


async def use_key(tx: AsyncConnection, *, key_hash: bytes) -> KnownKey | None:
    """Find a key that is good, and note once a minute that it was used."""
    row = (await tx.execute(text(READ_KEY), {"key_hash": key_hash})).one_or_none()
    if row is None:
        return None
    if row.is_use_news:
        await tx.execute(text(NOTE_USE), {"id": row.id})
    return KnownKey(owner_id=row.owner_id, scopes=row.scopes, seconds_left=row.seconds_left)


async def add_key(
    tx: AsyncConnection,
    key_id: UUID,
    *,
    owner_id: UUID,
    key_hash: bytes,
    name: str | None,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> ApiKey | None:
    """Write a key down, or return None if its owner has a hundred that are good."""
    await tx.execute(text(LOCK_KEYS), {"owner_id": str(owner_id)})
    arguments = {
        "id": str(key_id),
        "owner_id": str(owner_id),
        "name": name,
        "key_hash": key_hash,
        "scopes": list(scopes),
        "expires_at": expires_at,
    }
    created_at = (await tx.execute(text(INSERT_KEY), arguments)).scalar_one_or_none()
    if created_at is None:
        return None
    return ApiKey(
        id=key_id, name=name, scopes=list(scopes), created_at=created_at, expires_at=expires_at, last_used_at=None
    )


async def list_keys(tx: AsyncConnection, owner_id: UUID, *, before: UUID | None, limit: int) -> list[ApiKey]:
    """List an owner's keys, newest first, without those that were revoked. Index: api_keys_owner_id_idx.

    Args:
        before: The last id of the page before.
    """
    conditions = [_is_theirs(owner_id)]
    if before is not None:
        conditions.append(API_KEYS.c.id < before)
    statement = select(*_COLUMNS).where(*conditions).order_by(API_KEYS.c.id.desc()).limit(limit)
    return [ApiKey(**row) for row in (await tx.execute(statement)).mappings()]


async def revoke_key(tx: AsyncConnection, key_id: UUID, *, owner_id: UUID) -> bool:
    """Mark a key revoked, and say whether there was one."""
    statement = (
        update(API_KEYS)
        .where(API_KEYS.c.id == key_id, _is_theirs(owner_id))
        .values(revoked_at=func.statement_timestamp())
    )
    return (await tx.execute(statement)).rowcount > 0


def _is_theirs(owner_id: UUID) -> ColumnElement[bool]:
    return and_(API_KEYS.c.owner_id == owner_id, API_KEYS.c.revoked_at.is_(None))
