"""Let endpoints be disabled, probed, given new secrets and recovered; say when a claim on a delivery ends."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)

ENDPOINT_CHECKS = {
    "old_secret_ends": "(old_secret_encrypted IS NULL) = (old_secret_until IS NULL)",
    "disabled_has_reason": "(disabled_at IS NULL) = (disabled_reason IS NULL)",
    "disabled_reason_known": "disabled_reason IN ('owner', 'gone', 'failing')",
    "failing_since_first_failure": "(failures = 0) = (failing_since IS NULL)",
}

# What is under way while this runs: the time until which it is claimed stood in the column of its next attempt. A
# worker of before, which knows of no end, claims nothing any more.
CLAIMS_END = """
UPDATE webhook_deliveries SET claimed_until = next_attempt_at, next_attempt_at = created_at
WHERE claim_id IS NOT NULL AND status = 'pending';
UPDATE webhook_deliveries SET claim_id = NULL WHERE claim_id IS NOT NULL AND status <> 'pending';
"""


def upgrade() -> None:
    """Add the columns, fill those that need it, then hold them to their rules."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    _endpoints()
    _deliveries()
    _recoveries()
    op.add_column("events", sa.Column("data", sa.JSON(), nullable=True))
    op.create_check_constraint(op.f("events_data_is_not_of_transfer"), "events", "transfer_id IS NULL OR data IS NULL")


def _endpoints() -> None:
    op.add_column("webhook_endpoints", sa.Column("old_secret_encrypted", sa.LargeBinary(), nullable=True))
    op.add_column("webhook_endpoints", sa.Column("old_secret_until", MOMENT, nullable=True))
    op.add_column("webhook_endpoints", sa.Column("disabled_at", MOMENT, nullable=True))
    op.add_column("webhook_endpoints", sa.Column("disabled_reason", sa.Text(), nullable=True))
    op.add_column("webhook_endpoints", sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("webhook_endpoints", sa.Column("failing_since", MOMENT, nullable=True))
    op.add_column("webhook_endpoints", sa.Column("next_probe_at", MOMENT, nullable=True))
    for name, rule in ENDPOINT_CHECKS.items():
        op.create_check_constraint(op.f(f"webhook_endpoints_{name}"), "webhook_endpoints", rule)
    op.create_table_comment(
        "webhook_endpoints",
        "Who listens, and how they fare. Marked deleted, never removed. No event types means all of them.",
        existing_comment="Who listens. Marked deleted, never removed. No event types means all of them.",
    )
    op.execute("ALTER TABLE webhook_endpoints SET (fillfactor = 70)")


def _deliveries() -> None:
    op.add_column(
        "webhook_deliveries",
        sa.Column("earlier_attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("webhook_deliveries", sa.Column("claimed_until", MOMENT, nullable=True))
    op.execute(CLAIMS_END)
    op.create_check_constraint(
        op.f("webhook_deliveries_claim_has_end"),
        "webhook_deliveries",
        "(claim_id IS NULL) = (claimed_until IS NULL)",
    )
    op.create_index(
        "webhook_deliveries_exhausted_idx",
        "webhook_deliveries",
        ["endpoint_id", "event_id"],
        postgresql_where=sa.text("status = 'exhausted'"),
    )
    op.drop_constraint("webhook_attempts_delivery_id_fkey", "webhook_attempts", type_="foreignkey")
    op.create_table_comment(
        "webhook_deliveries",
        "What an endpoint is owed: which bytes, and when next. A claim keeps others off it for a while.",
        existing_comment="What an endpoint is owed: which bytes, and when next. A claim pushes that time ahead of its"
        " send.",
    )


def _recoveries() -> None:
    op.create_table(
        "webhook_recoveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("lane", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("owed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("webhook_recoveries_endpoint_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_recoveries_pkey")),
        comment="Asked for over HTTP, carried out by upkeep: owe again what an endpoint was not delivered.",
    )
    op.create_index(
        "webhook_recoveries_endpoint_id_key",
        "webhook_recoveries",
        ["endpoint_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
