"""${message}."""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand first; backfill and contract in migrations of their own."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    ${upgrades if upgrades else "pass"}
