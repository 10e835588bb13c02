"""Look at lists, feeds and batches as owners do, page by page, and say where they are not what the model has."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.database import batches
from shared.database.feed import read_feed
from shared.database.tables import TRANSFER_BATCHES
from shared.database.transfers import TransferFilters, list_transfers
from shared.domain.transfer import Status
from tests.simulation.model import Complaint, Invariant, Looked, Model


async def differences(
    engine: AsyncEngine, model: Model, viewer_id: UUID, looked: Looked, *, page: int
) -> list[Complaint]:
    """Read a list, a feed and the batches of an owner to their ends."""
    async with engine.connect() as tx:
        found = {
            f"{looked}": (await _listed(tx, viewer_id, looked, page=page), model.listed(viewer_id, looked)),
            "feed": (await _told(tx, viewer_id, page=page), model.told(viewer_id)),
            "batches": (await _counted(tx, viewer_id), _expected_counts(model, viewer_id)),
        }
    return [
        Complaint(Invariant.READS, f"{viewer_id} sees of {what}: {seen}, should see {expected}")
        for what, (seen, expected) in found.items()
        if seen != expected
    ]


async def _listed(tx: AsyncConnection, viewer_id: UUID, looked: Looked, *, page: int) -> list[tuple[UUID, str]]:
    filters = TransferFilters(
        status=None if looked.status is None else Status(looked.status),
        reference=looked.reference,
        idempotency_key=looked.key,
        wallet_id=looked.wallet,
    )
    listed: list[tuple[UUID, str]] = []
    before = None
    while standing := await list_transfers(tx, viewer_id=viewer_id, filters=filters, before=before, limit=page):
        listed += [(one.transfer.id, one.ending.status if one.ending else Status.QUEUED) for one in standing]
        before = standing[-1].transfer.position
    return listed


async def _told(tx: AsyncConnection, viewer_id: UUID, *, page: int) -> list[UUID]:
    told: list[UUID] = []
    numbers: dict[int, int] = {}
    while True:
        read = await read_feed(tx, viewer_id, after=numbers, types=None, limit=page)
        told += [event.transfer_id for event in read.events if event.transfer_id is not None]
        numbers = read.numbers
        if not read.has_more:
            return told


async def _counted(tx: AsyncConnection, viewer_id: UUID) -> dict[str, tuple[int, int, int]]:
    columns = TRANSFER_BATCHES.c
    rows = await tx.execute(
        TRANSFER_BATCHES.select()
        .with_only_columns(columns.id, columns.idempotency_key)
        .where(columns.owner_id == viewer_id)
    )
    counted: dict[str, tuple[int, int, int]] = {}
    for batch_id, key in rows.all():
        batch = await batches.read_batch(tx, batch_id, owner_id=viewer_id)
        assert batch is not None
        standing = await batches.read_standing(tx, batch)
        counted[key] = (standing.queued, standing.succeeded, standing.failed)
    return counted


def _expected_counts(model: Model, viewer_id: UUID) -> dict[str, tuple[int, int, int]]:
    def count(key: tuple[UUID, str], status: str) -> int:
        return sum(known.status == status for known in model.batches[key][1])

    return {
        key[1]: (count(key, "queued"), count(key, "succeeded"), count(key, "failed"))
        for key in model.batches
        if key[0] == viewer_id
    }
