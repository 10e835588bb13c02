"""Sign somebody up: the person, their wallet and the opening grant in one commit; a lane pays the grant."""

import asyncio
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import psycopg

from api.parts import Parts
from shared.database.acceptance import accept
from shared.database.commits import commit
from shared.database.transfers import StandingTransfer
from shared.database.users import (
    User,
    insert_personal_wallet,
    insert_user,
    read_issuance_wallet_id,
)
from shared.domain.acceptance import Accepted, TransferRequest
from shared.domain.errors import EmailTaken, QueueUnavailable
from shared.domain.lane import lane_of
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.transfer import Transfer
from shared.identifiers import new_id
from shared.queue import apply_in

HOME_CURRENCY: Final = "BDT"
GRANT_SECONDS_MAX: Final = 5.0
"""How long a sign-up waits for its grant. Source: http-api.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUp:
    """A new person, their wallet, and the transfer that is their opening grant."""

    user: User
    wallet_id: UUID
    opening_grant: StandingTransfer


async def sign_up(parts: Parts, *, name: str, email: str, pin: str) -> SignedUp:
    """Sign somebody up and wait a moment for their grant.

    Raises:
        EmailTaken: Somebody has signed up with this email.
        TooBusy: Too many PINs are hashed at this moment. Nothing was written.
        QueueUnavailable: The queue takes nothing new, or PostgreSQL could not take it. Nothing was written.
        OutcomeUnknown: It may have been; logging in tells.
    """
    if parts.backlog.is_full():
        # Before hashing, which is what a sign-up costs most.
        raise QueueUnavailable
    user_id, wallet_id, grant_id = new_id(), new_id(), new_id()
    async with parts.pins.place():
        pin_hash = await parts.pins.hash(pin)

    async def write(tx: psycopg.AsyncConnection) -> tuple[User, Transfer]:
        created_at = await insert_user(tx, user_id=user_id, name=name, email=email, pin_hash=pin_hash)
        if created_at is None:
            raise EmailTaken
        await insert_personal_wallet(tx, wallet_id=wallet_id, owner_id=user_id, currency=HOME_CURRENCY)
        issuance_wallet_id = await read_issuance_wallet_id(tx, currency=HOME_CURRENCY)
        grant = _grant(grant_id, source_id=issuance_wallet_id, destination_id=wallet_id, parts=parts)
        (accepted,) = await accept(tx, [grant], lane_count=parts.lane_count)
        assert isinstance(accepted, Accepted)
        user = User(id=user_id, name=name, email=email, pin_hash=pin_hash, created_at=created_at)
        return user, accepted.transfer

    with parts.endings.watch([grant_id]) as watch:
        # In a task of its own: a caller who goes away must not cancel a commit.
        try:
            user, grant = await asyncio.shield(asyncio.ensure_future(commit(parts.intake_pool, write)))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            # Somebody else is signing up with this email, and takes long: whether it is taken is not known yet.
            raise QueueUnavailable from error
        parts.wake_ups.send(apply_in(lane_of(grant.source_wallet_id, lane_count=parts.lane_count)))
        await watch.wait(seconds_max=GRANT_SECONDS_MAX)
    ended = watch.endings.get(grant_id)
    standing = StandingTransfer(transfer=grant, ending=ended.ending if ended else None)
    return SignedUp(user=user, wallet_id=wallet_id, opening_grant=standing)


def _grant(transfer_id: UUID, *, source_id: UUID, destination_id: UUID, parts: Parts) -> TransferRequest:
    return TransferRequest(
        transfer_id=transfer_id,
        owner_id=OPERATORS_OWNER_ID,
        idempotency_key=None,
        fingerprint=None,
        source_wallet_id=source_id,
        destination_wallet_id=destination_id,
        destination_email=None,
        amount_minor=parts.settings.opening_grant_minor,
        currency=HOME_CURRENCY,
        reference="opening-grant",
        note=None,
        metadata=None,
    )
