"""Make the tables, the rules that guard them, the currencies and the wallets that issue each."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# ISO 4217 as of 2026, by exponent; funds and metals that nobody pays with are left out.
CURRENCY_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
        "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
        "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD "
        "NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
        "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

# Holds G5's zero sum: per transfer, over the rows of one statement, which is how a lane writes them.
# One pass over the transition table: 3 ms per 1,000 transfers, where a row-level trigger took 30 to 40.
ENTRIES_SUM_TO_ZERO = """
CREATE FUNCTION entries_sum_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM written GROUP BY transfer_id HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'the entries of a transfer do not sum to zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_sum_to_zero', TABLE = 'entries';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_sum_to_zero AFTER INSERT ON entries REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION entries_sum_to_zero();
"""

FACTS = ("transfers", "entries", "events")

FACTS_ARE_KEPT = """
CREATE FUNCTION facts_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'facts_are_kept';
END $$;
"""

WALLETS_ARE_KEPT = """
CREATE TRIGGER wallets_are_kept BEFORE DELETE OR TRUNCATE ON wallets
    FOR EACH STATEMENT EXECUTE FUNCTION facts_are_kept();
"""


def upgrade() -> None:
    """Make everything there is in the first version."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("CREATE SEQUENCE transfer_position AS bigint CACHE 1")
    _create_tables()
    op.execute(ENTRIES_SUM_TO_ZERO)
    op.execute(FACTS_ARE_KEPT)
    for table in FACTS:
        op.execute(
            f"CREATE TRIGGER {table}_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION facts_are_kept()"
        )
    op.execute(WALLETS_ARE_KEPT)
    _insert_currencies()


def _insert_currencies() -> None:
    connection = op.get_bind()
    currencies = [
        {"code": code, "exponent": exponent, "id": new_id(), "owner_id": OPERATORS_OWNER_ID}
        for exponent, codes in CURRENCY_CODES.items()
        for code in codes.split()
    ]
    connection.execute(sa.text("INSERT INTO currencies (code, exponent) VALUES (:code, :exponent)"), currencies)
    connection.execute(
        sa.text(
            "INSERT INTO wallets (id, owner_id, kind, currency, balance, entry_count, created_at) "
            "VALUES (:id, :owner_id, 'issuance', :code, 0, 0, now())"
        ),
        currencies,
    )


def _create_tables() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        sa.UniqueConstraint("key_hash", name=op.f("api_keys_key_hash_key")),
        comment="SHA-256 of a key of 32 random bytes; the key itself is shown once and kept nowhere.",
    )
    op.create_table(
        "audits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.CheckConstraint("(finished_at IS NULL) = (report IS NULL)", name=op.f("audits_finished_has_report")),
        sa.PrimaryKeyConstraint("id", name=op.f("audits_pkey")),
        comment="Asked for over HTTP, carried out by upkeep: is any money missing?",
    )
    op.create_table(
        "currencies",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("exponent", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("currencies_pkey")),
        comment="ISO 4217: how many digits of an amount stand behind the point.",
    )
    op.create_table(
        "entries",
        sa.Column("wallet_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("entries_amount_not_zero")),
        sa.PrimaryKeyConstraint("wallet_id", "number", name=op.f("entries_pkey")),
        sa.UniqueConstraint("transfer_id", "wallet_id", name=op.f("entries_transfer_id_wallet_id_key")),
        comment="One movement on one wallet, numbered without gaps. A trigger holds that a transfer's sum to zero.",
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("transfer_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.SmallInteger(), nullable=True),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("defect", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(failure_code = 'unprocessable') OR defect IS NULL", name=op.f("events_defect_is_of_unprocessable")
        ),
        sa.CheckConstraint(
            "(type = 'transfer.failed') = (failure_code IS NOT NULL)", name=op.f("events_failure_has_code")
        ),
        sa.CheckConstraint("(transfer_id IS NULL) = (version IS NULL)", name=op.f("events_version_is_of_transfer")),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
        sa.UniqueConstraint("lane", "number", name=op.f("events_lane_number_key")),
        sa.UniqueConstraint("transfer_id", "version", name=op.f("events_transfer_id_version_key")),
        comment="One thing that happened: status history and what webhooks tell, numbered per lane in order of commit.",
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("event_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("busy_by", sa.Uuid(), nullable=True),
        sa.Column("busy_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("careful_transfers_left", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unprocessable_in_a_row", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(busy_by IS NULL) = (busy_since IS NULL)", name=op.f("lanes_busy_is_by_somebody")),
        sa.PrimaryKeyConstraint("lane", name=op.f("lanes_pkey")),
        comment="Worked by whoever holds the lock on its row. Lane 0 only numbers events that are not a transfer's.",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "queue",
        sa.Column("lane", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("source_wallet_id", sa.Uuid(), nullable=False),
        sa.Column("destination_wallet_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("lane", "position", name=op.f("queue_pkey")),
        comment="A transfer waiting in its lane. Deleted by the transaction that applies it.",
        postgresql_with={
            "fillfactor": "90",
            "autovacuum_vacuum_scale_factor": "0.01",
            "autovacuum_vacuum_cost_delay": "0",
        },
    )
    op.create_table(
        "transfers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("destination_owner_id", sa.Uuid(), nullable=False),
        sa.Column("source_wallet_id", sa.Uuid(), nullable=False),
        sa.Column("destination_wallet_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(idempotency_key IS NULL) = (fingerprint IS NULL)", name=op.f("transfers_key_has_fingerprint")
        ),
        sa.CheckConstraint("amount BETWEEN 1 AND 1000000000000", name=op.f("transfers_amount_within_limits")),
        sa.CheckConstraint("source_wallet_id <> destination_wallet_id", name=op.f("transfers_wallets_differ")),
        sa.PrimaryKeyConstraint("id", name=op.f("transfers_pkey")),
        sa.UniqueConstraint("owner_id", "idempotency_key", name=op.f("transfers_owner_id_idempotency_key_key")),
        comment="What was asked and accepted. Never updated: how it ended stands in events.",
    )
    op.create_index(
        "transfers_destination_owner_id_position_key",
        "transfers",
        ["destination_owner_id", "position"],
        unique=True,
        postgresql_where=sa.text("owner_id <> destination_owner_id"),
    )
    op.create_index("transfers_owner_id_position_key", "transfers", ["owner_id", "position"], unique=True)
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("pin_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
        sa.UniqueConstraint("email", name=op.f("users_email_key")),
        comment="A person. The email is case-folded; the PIN is argon2id over an HMAC with a pepper kept elsewhere.",
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("event_types", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("secret_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("place BETWEEN 1 AND 10", name=op.f("webhook_endpoints_place_within_limit")),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_endpoints_pkey")),
        comment="Who listens. Marked deleted, never removed. No event types means all of them.",
    )
    op.create_index("webhook_endpoints_owner_id_idx", "webhook_endpoints", ["owner_id", "id"], unique=False)
    op.create_index(
        "webhook_endpoints_owner_id_place_key",
        "webhook_endpoints",
        ["owner_id", "place"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "wallets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=True),
        sa.Column("entry_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(kind = 'issuance') = (floor IS NULL)", name=op.f("wallets_only_issuance_without_floor")),
        sa.CheckConstraint(
            "(kind = 'operator') = (external_id IS NOT NULL)", name=op.f("wallets_operators_wallets_are_named")
        ),
        sa.CheckConstraint("kind IN ('personal', 'operator', 'issuance')", name=op.f("wallets_kind_known")),
        sa.CheckConstraint("balance >= floor", name=op.f("wallets_balance_not_below_floor")),
        sa.CheckConstraint(
            "balance BETWEEN -1000000000000000000 AND 1000000000000000000", name=op.f("wallets_balance_within_limit")
        ),
        sa.ForeignKeyConstraint(["currency"], ["currencies.code"], name=op.f("wallets_currency_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("wallets_pkey")),
        sa.UniqueConstraint("owner_id", "external_id", name=op.f("wallets_owner_id_external_id_key")),
        comment="An owner's money in one currency. Never deleted, so the hot tables need no foreign keys to it.",
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.create_index(
        "wallets_issuance_currency_key",
        "wallets",
        ["currency"],
        unique=True,
        postgresql_where=sa.text("kind = 'issuance'"),
    )
    op.create_index(
        "wallets_owner_id_currency_key",
        "wallets",
        ["owner_id", "currency"],
        unique=True,
        postgresql_where=sa.text("kind = 'personal'"),
    )
    op.create_index("wallets_owner_id_id_idx", "wallets", ["owner_id", "id"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'pending') = (finished_at IS NULL)", name=op.f("webhook_deliveries_finished_has_time")
        ),
        sa.CheckConstraint(
            "(status = 'pending') = (next_attempt_at IS NOT NULL)", name=op.f("webhook_deliveries_pending_is_due")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'exhausted')", name=op.f("webhook_deliveries_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("webhook_deliveries_endpoint_id_fkey")
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("webhook_deliveries_event_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_deliveries_pkey")),
        sa.UniqueConstraint("endpoint_id", "event_id", name=op.f("webhook_deliveries_endpoint_id_event_id_key")),
        comment="What an endpoint is owed: which bytes, and when next. A claim pushes that time ahead of its send.",
        postgresql_with={"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.create_index(
        "webhook_deliveries_due_idx",
        "webhook_deliveries",
        ["endpoint_id", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("http_status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("answer_excerpt", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["webhook_deliveries.id"], name=op.f("webhook_attempts_delivery_id_fkey")
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("webhook_attempts_pkey")),
        comment="What was tried: an HTTP status, or the class of the error that came instead.",
    )
