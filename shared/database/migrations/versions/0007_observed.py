"""Count in each lane how long transfers take, note when upkeep swept, and find disabled endpoints by index."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two columns that a worker of before leaves as they are, a small table, and an index on what is rare."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column(
        "lanes", sa.Column("ending_counts", ARRAY(sa.BigInteger), nullable=False, server_default=sa.text("'{}'"))
    )
    op.add_column("lanes", sa.Column("ending_seconds", sa.Double, nullable=False, server_default=sa.text("0")))
    op.create_table(
        "upkeep",
        sa.Column("task", sa.Text, primary_key=True),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        comment="When each task of upkeep was last done, by whichever process.",
    )
    op.execute("INSERT INTO upkeep (task) VALUES ('sweep')")
    op.create_index(
        "webhook_endpoints_disabled_idx",
        "webhook_endpoints",
        ["id"],
        postgresql_where=sa.text("disabled_at IS NOT NULL AND deleted_at IS NULL"),
    )
