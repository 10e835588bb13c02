"""Let deliveries be listed by what became of them and by what they tell of, without reading past all others."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One index more on what is rare among events; on deliveries one that takes the place of another."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_index(
        "webhook_deliveries_undelivered_idx",
        "webhook_deliveries",
        ["endpoint_id", "status", "event_id"],
        postgresql_where=sa.text("status <> 'delivered'"),
    )
    op.drop_index("webhook_deliveries_exhausted_idx", "webhook_deliveries")
    op.create_index(
        "events_rare_idx",
        "events",
        ["owner_id", "type", "id"],
        postgresql_where=sa.text("type <> 'transfer.succeeded'"),
    )
