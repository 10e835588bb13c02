"""Say of each event whom it concerns, and index what lists and feeds look for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Events are facts and a trigger keeps them; this adds to each what its transfer says already.
BACKFILL = """
ALTER TABLE events DISABLE TRIGGER events_are_kept;
UPDATE events
SET owner_id = transfers.owner_id,
    destination_owner_id = CASE WHEN type = 'transfer.succeeded'
                                THEN nullif(transfers.destination_owner_id, transfers.owner_id) END,
    position = transfers.position
FROM transfers
WHERE transfers.id = events.transfer_id;
ALTER TABLE events ENABLE TRIGGER events_are_kept;
UPDATE lanes
SET newest_position = coalesce((SELECT max(position) FROM events WHERE events.lane = lanes.lane), 0);
"""

CHECKS = {
    "position_is_of_transfer": "(transfer_id IS NULL) = (position IS NULL)",
    "about_one_thing": "transfer_id IS NULL OR endpoint_id IS NULL",
    "owners_differ": "destination_owner_id <> owner_id",
}

OPERATORS = (
    "owner_id = '00000000-0000-0000-0000-000000000001'::uuid "
    "OR destination_owner_id = '00000000-0000-0000-0000-000000000001'::uuid"
)


def upgrade() -> None:
    """Add the columns, fill them, then hold them to their rules."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column("events", sa.Column("owner_id", sa.Uuid(), nullable=True))
    op.add_column("events", sa.Column("destination_owner_id", sa.Uuid(), nullable=True))
    op.add_column("events", sa.Column("position", sa.BigInteger(), nullable=True))
    op.add_column("events", sa.Column("endpoint_id", sa.Uuid(), nullable=True))
    op.add_column("lanes", sa.Column("newest_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute(BACKFILL)
    op.alter_column("events", "owner_id", nullable=False)
    for name, rule in CHECKS.items():
        op.create_check_constraint(op.f(f"events_{name}"), "events", rule)
    op.create_index("events_owner_id_lane_number_idx", "events", ["owner_id", "lane", "number"])
    op.create_index(
        "events_destination_owner_id_lane_number_idx",
        "events",
        ["destination_owner_id", "lane", "number"],
        postgresql_where=sa.text("destination_owner_id IS NOT NULL"),
    )
    op.create_index(
        "events_failed_idx", "events", ["owner_id", "position"], postgresql_where=sa.text("type = 'transfer.failed'")
    )
    op.create_index(
        "events_unprocessable_idx",
        "events",
        ["position"],
        postgresql_where=sa.text("failure_code = 'unprocessable'"),
    )
    op.create_index(
        "transfers_reference_position_idx",
        "transfers",
        ["reference", "position"],
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    for end in ("source", "destination"):
        op.create_index(
            f"transfers_operators_{end}_idx",
            "transfers",
            [f"{end}_wallet_id", "position"],
            postgresql_where=sa.text(OPERATORS),
        )
