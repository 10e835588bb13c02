"""Let lanes find their head without walking over the dead rows before it, which an open snapshot keeps."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row that says what the queue has shown for good, and where each lane is read from."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "queue_horizon",
        sa.Column("position", sa.BigInteger, nullable=False),
        comment="One row: every position up to it is in the queue, has been, or never will be. Upkeep moves it on.",
    )
    op.execute("INSERT INTO queue_horizon (position) VALUES (0)")
    op.add_column("lanes", sa.Column("head_from", sa.BigInteger, nullable=False, server_default=sa.text("0")))
