"""Add sessions with their refresh tokens, the count of failed log-ins, and what API keys need to be managed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns; nothing that stands is touched."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column("api_keys", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("api_keys_owner_id_idx", "api_keys", ["owner_id", "id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("sessions_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("sessions_pkey")),
        comment="What a log-in begins: a family of refresh tokens. Removed 30 days after its end.",
    )
    op.create_index("sessions_ends_at_idx", "sessions", ["ends_at"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("refresh_tokens_session_id_fkey")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("refresh_tokens_pkey")),
        comment="SHA-256 of 32 random bytes, good once. Kept 30 days after its end, to know it if it comes again.",
    )
    op.create_index("refresh_tokens_session_id_idx", "refresh_tokens", ["session_id"], unique=False)
    op.create_index("refresh_tokens_ends_at_idx", "refresh_tokens", ["ends_at"], unique=False)
    op.create_table(
        "login_failures",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.SmallInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("login_failures_pkey")),
        comment="By an HMAC of the email that was given, whether anybody has it or not. Removed after 30 days.",
    )
    op.create_index("login_failures_last_at_idx", "login_failures", ["last_at"], unique=False)
