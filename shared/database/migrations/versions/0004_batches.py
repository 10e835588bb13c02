"""Let transfers be accepted in batches, each under one idempotency key."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BATCHES_ARE_KEPT = """
CREATE TRIGGER transfer_batches_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer_batches
    FOR EACH STATEMENT EXECUTE FUNCTION facts_are_kept();
"""


def upgrade() -> None:
    """Add the table of batches, and say of each transfer which it belongs to."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "transfer_batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "total BETWEEN 1 AND last_position - first_position + 1", name=op.f("transfer_batches_total_fits_positions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("transfer_batches_pkey")),
        sa.UniqueConstraint("owner_id", "idempotency_key", name=op.f("transfer_batches_owner_id_idempotency_key_key")),
        comment="A batch that was accepted. Never updated: how its transfers ended stands in events.",
    )
    op.execute(BATCHES_ARE_KEPT)
    op.add_column("transfers", sa.Column("batch_id", sa.Uuid()))
    op.create_check_constraint(
        op.f("transfers_key_is_of_batch"), "transfers", "batch_id IS NULL OR idempotency_key IS NULL"
    )
