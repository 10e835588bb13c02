"""Keep the people who sign up."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import USERS

# An email that somebody has, or is signing up with at this moment, is waited for and then found taken.
INSERT_USER: LiteralString = """
INSERT INTO users (id, name, email, pin_hash, created_at)
VALUES (%(id)s, %(name)s, %(email)s, %(pin_hash)s, statement_timestamp())
ON CONFLICT (email) DO NOTHING
RETURNING created_at
"""

INSERT_PERSONAL_WALLET: LiteralString = """
INSERT INTO wallets (id, owner_id, kind, currency, balance, floor, entry_count, created_at)
VALUES (%(id)s, %(owner_id)s, 'personal', %(currency)s, 0, 0, 0, statement_timestamp())
"""

READ_ISSUANCE_WALLET_ID: LiteralString = "SELECT id FROM wallets WHERE kind = 'issuance' AND currency = %(currency)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person; the email is case-folded."""

    id: UUID
    name: str
    email: str
    pin_hash: str
    created_at: datetime


async def insert_user(
    tx: psycopg.AsyncConnection, *, user_id: UUID, name: str, email: str, pin_hash: str
) -> datetime | None:
    """Write down who signed up and return when that was, or None if the email is taken."""
    arguments = {"id": user_id, "name": name, "email": email, "pin_hash": pin_hash}
    row = await (await tx.execute(INSERT_USER, arguments)).fetchone()
    return None if row is None else row[0]


async def insert_personal_wallet(
    tx: psycopg.AsyncConnection, *, wallet_id: UUID, owner_id: UUID, currency: str
) -> None:
    """Open an empty wallet for somebody who has none in this currency."""
    await tx.execute(INSERT_PERSONAL_WALLET, {"id": wallet_id, "owner_id": owner_id, "currency": currency})


async def read_issuance_wallet_id(tx: psycopg.AsyncConnection, *, currency: str) -> UUID:
    """Name the wallet that issues a currency; every one has it from the first migration on."""
    row = await (await tx.execute(READ_ISSUANCE_WALLET_ID, {"currency": currency})).fetchone()
    if row is None:
        message = f"no wallet issues {currency}"
        raise LookupError(message)
    return row[0]


async def read_user_by_email(tx: AsyncConnection, email: str) -> User | None:
    """Find who signed up with an email, case-folded."""
    row = (await tx.execute(select(*USERS.c).where(USERS.c.email == email))).mappings().one_or_none()
    return None if row is None else User(**row)


async def read_user(tx: AsyncConnection, user_id: UUID) -> User | None:
    """Find a person by id."""
    row = (await tx.execute(select(*USERS.c).where(USERS.c.id == user_id))).mappings().one_or_none()
    return None if row is None else User(**row)
