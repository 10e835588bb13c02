"""Declare the tables. Facts are appended and never changed; only wallets and small work tables are updated."""

from typing import LiteralString

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)

MOMENT = DateTime(timezone=True)

# One for the whole system, no cache: positions are drawn in order of arrival, whichever process draws them.
TRANSFER_POSITION = Sequence("transfer_position", metadata=METADATA, data_type=BigInteger, cache=1)

IS_OPERATORS: LiteralString = (
    "owner_id = '00000000-0000-0000-0000-000000000001'::uuid"
    " OR destination_owner_id = '00000000-0000-0000-0000-000000000001'::uuid"
)

CURRENCIES = Table(
    "currencies",
    METADATA,
    Column("code", Text, primary_key=True),
    Column("exponent", SmallInteger, nullable=False),
    comment="ISO 4217: how many digits of an amount stand behind the point.",
)

USERS = Table(
    "users",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("pin_hash", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    UniqueConstraint("email"),
    comment="A person. The email is case-folded; the PIN is argon2id over an HMAC with a pepper kept elsewhere.",
)

WALLETS = Table(
    "wallets",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("currency", Text, ForeignKey("currencies.code"), nullable=False),
    Column("external_id", Text),
    Column("balance", BigInteger, nullable=False),
    Column("floor", BigInteger),
    Column("entry_count", BigInteger, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    CheckConstraint("balance >= floor", name="balance_not_below_floor"),
    CheckConstraint("balance BETWEEN -1000000000000000000 AND 1000000000000000000", name="balance_within_limit"),
    CheckConstraint("kind IN ('personal', 'operator', 'issuance')", name="kind_known"),
    CheckConstraint("(kind = 'issuance') = (floor IS NULL)", name="only_issuance_without_floor"),
    CheckConstraint("(kind = 'operator') = (external_id IS NOT NULL)", name="operators_wallets_are_named"),
    UniqueConstraint("owner_id", "external_id"),
    Index(
        "wallets_owner_id_currency_key",
        "owner_id",
        "currency",
        unique=True,
        postgresql_where=text("kind = 'personal'"),
    ),
    Index("wallets_issuance_currency_key", "currency", unique=True, postgresql_where=text("kind = 'issuance'")),
    Index("wallets_owner_id_id_idx", "owner_id", "id"),
    # Room on each page for the next version of a row: balance updates then touch no index (faults.md, P7),
    # which is also why there is no index on a balance.
    postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.02"},
    comment="An owner's money in one currency. Never deleted, so the hot tables need no foreign keys to it.",
)

TRANSFERS = Table(
    "transfers",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("destination_owner_id", Uuid, nullable=False),
    Column("source_wallet_id", Uuid, nullable=False),
    Column("destination_wallet_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reference", Text),
    Column("note", Text),
    # json and not jsonb: the caller's order of keys is kept, and a replay gives it back byte for byte.
    Column("metadata", JSON),
    Column("idempotency_key", Text),
    Column("fingerprint", LargeBinary),
    Column("created_at", MOMENT, nullable=False),
    # No foreign key, which would be looked up for each row: the transaction that writes a batch writes its row too.
    Column("batch_id", Uuid),
    CheckConstraint("amount BETWEEN 1 AND 1000000000000", name="amount_within_limits"),
    CheckConstraint("source_wallet_id <> destination_wallet_id", name="wallets_differ"),
    CheckConstraint("(idempotency_key IS NULL) = (fingerprint IS NULL)", name="key_has_fingerprint"),
    CheckConstraint("batch_id IS NULL OR idempotency_key IS NULL", name="key_is_of_batch"),
    UniqueConstraint("owner_id", "idempotency_key"),
    Index("transfers_owner_id_position_key", "owner_id", "position", unique=True),
    # What came from somebody else. What an owner moves between wallets of their own is listed once, as sent.
    Index(
        "transfers_destination_owner_id_position_key",
        "destination_owner_id",
        "position",
        unique=True,
        postgresql_where=text("owner_id <> destination_owner_id"),
    ),
    # Both ends look for it, so it is not by owner; what is sent without one pays nothing for it.
    Index("transfers_reference_position_idx", "reference", "position", postgresql_where=text("reference IS NOT NULL")),
    # Only operators have many wallets: what people accept is not in these.
    Index("transfers_operators_source_idx", "source_wallet_id", "position", postgresql_where=text(IS_OPERATORS)),
    Index(
        "transfers_operators_destination_idx", "destination_wallet_id", "position", postgresql_where=text(IS_OPERATORS)
    ),
    comment="What was asked and accepted. Never updated: how it ended stands in events.",
)

TRANSFER_BATCHES = Table(
    "transfer_batches",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    # Its transfers are those of its owner in this stretch that carry its id: found by transfers_owner_id_position_key,
    # so that no transfer pays for an index of batches.
    Column("first_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("total", SmallInteger, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    CheckConstraint("total BETWEEN 1 AND last_position - first_position + 1", name="total_fits_positions"),
    UniqueConstraint("owner_id", "idempotency_key"),
    comment="A batch that was accepted. Never updated: how its transfers ended stands in events.",
)

LANES = Table(
    "lanes",
    METADATA,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("event_number", BigInteger, nullable=False, server_default=text("0")),
    Column("busy_by", Uuid),
    Column("busy_since", MOMENT),
    Column("last_applied_at", MOMENT),
    Column("careful_transfers_left", SmallInteger, nullable=False, server_default=text("0")),
    Column("unprocessable_in_a_row", SmallInteger, nullable=False, server_default=text("0")),
    Column("stopped_at", MOMENT),
    Column("newest_position", BigInteger, nullable=False, server_default=text("0")),
    # How long transfers took from accepted to applied, since the lane was made: how many fell into each bucket of
    # shared.domain.histogram, and the sum. Counted in the commit that applies them: none is missing, or counted twice.
    Column("ending_counts", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("ending_seconds", Double, nullable=False, server_default=text("0")),
    # Nothing of the lane is queued below it, nor ever will be: what lies there is dead (docs/decisions/0027).
    Column("head_from", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("(busy_by IS NULL) = (busy_since IS NULL)", name="busy_is_by_somebody"),
    postgresql_with={"fillfactor": "50"},
    comment="Worked by whoever holds the lock on its row. Lane 0 only numbers events that are not a transfer's.",
)

QUEUE = Table(
    "queue",
    METADATA,
    # No foreign key to lanes: an intake under way would hide the lane from the worker (architecture.md, section 4).
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer_id", Uuid, nullable=False),
    Column("source_wallet_id", Uuid, nullable=False),
    Column("destination_wallet_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("accepted_at", MOMENT, nullable=False),
    postgresql_with={
        "fillfactor": "90",
        # Every row that is put in is deleted soon: clean up early, and without pausing.
        "autovacuum_vacuum_scale_factor": "0.01",
        "autovacuum_vacuum_cost_delay": "0",
    },
    comment="A transfer waiting in its lane. Deleted by the transaction that applies it.",
)

QUEUE_HORIZON = Table(
    "queue_horizon",
    METADATA,
    Column("position", BigInteger, nullable=False),
    comment="One row: every position up to it is in the queue, has been, or never will be. Upkeep moves it on.",
)

EVENTS = Table(
    "events",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("lane", SmallInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("transfer_id", Uuid),
    Column("version", SmallInteger),
    Column("failure_code", Text),
    Column("defect", Text),
    Column("created_at", MOMENT, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("destination_owner_id", Uuid),
    Column("position", BigInteger),
    Column("endpoint_id", Uuid),
    # What is told of it; of a transfer that is made from the transfer itself.
    Column("data", JSON),
    CheckConstraint("(transfer_id IS NULL) = (version IS NULL)", name="version_is_of_transfer"),
    CheckConstraint("transfer_id IS NULL OR data IS NULL", name="data_is_not_of_transfer"),
    CheckConstraint("(transfer_id IS NULL) = (position IS NULL)", name="position_is_of_transfer"),
    CheckConstraint("transfer_id IS NULL OR endpoint_id IS NULL", name="about_one_thing"),
    CheckConstraint("destination_owner_id <> owner_id", name="owners_differ"),
    CheckConstraint("(type = 'transfer.failed') = (failure_code IS NOT NULL)", name="failure_has_code"),
    CheckConstraint("(failure_code = 'unprocessable') OR defect IS NULL", name="defect_is_of_unprocessable"),
    UniqueConstraint("transfer_id", "version"),
    UniqueConstraint("lane", "number"),
    # The feeds of those whom it concerns: the payer or the endpoint's owner, and of a success the payee as well.
    Index("events_owner_id_lane_number_idx", "owner_id", "lane", "number"),
    Index(
        "events_destination_owner_id_lane_number_idx",
        "destination_owner_id",
        "lane",
        "number",
        postgresql_where=text("destination_owner_id IS NOT NULL"),
    ),
    # What failed is rare, so that a list of it would read past everything else.
    Index("events_failed_idx", "owner_id", "position", postgresql_where=text("type = 'transfer.failed'")),
    # What is rare among what endpoints are told of.
    Index("events_rare_idx", "owner_id", "type", "id", postgresql_where=text("type <> 'transfer.succeeded'")),
    # What an operator should look at: a defect of ours.
    Index("events_unprocessable_idx", "position", postgresql_where=text("failure_code = 'unprocessable'")),
    comment="One thing that happened: status history and what webhooks tell, numbered per lane in order of commit.",
)

ENTRIES = Table(
    "entries",
    METADATA,
    Column("wallet_id", Uuid, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    CheckConstraint("amount <> 0", name="amount_not_zero"),
    UniqueConstraint("transfer_id", "wallet_id"),
    comment="One movement on one wallet, numbered without gaps. A trigger holds that a transfer's sum to zero.",
)

WEBHOOK_ENDPOINTS = Table(
    "webhook_endpoints",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text),
    Column("event_types", ARRAY(Text)),
    Column("secret_encrypted", LargeBinary, nullable=False),
    # Signs as well while a rotation lasts.
    Column("old_secret_encrypted", LargeBinary),
    Column("old_secret_until", MOMENT),
    Column("place", SmallInteger, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("deleted_at", MOMENT),
    Column("disabled_at", MOMENT),
    Column("disabled_reason", Text),
    # Since it last answered well.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("failing_since", MOMENT),
    # Before this, nobody probes it again: somebody does, or has just done.
    Column("next_probe_at", MOMENT),
    # An owner has ten places: whoever races for the last one meets the index, not a count that was read too early.
    CheckConstraint("place BETWEEN 1 AND 10", name="place_within_limit"),
    CheckConstraint("(old_secret_encrypted IS NULL) = (old_secret_until IS NULL)", name="old_secret_ends"),
    CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled_has_reason"),
    CheckConstraint("disabled_reason IN ('owner', 'gone', 'failing')", name="disabled_reason_known"),
    CheckConstraint("(failures = 0) = (failing_since IS NULL)", name="failing_since_first_failure"),
    Index(
        "webhook_endpoints_owner_id_place_key",
        "owner_id",
        "place",
        unique=True,
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index("webhook_endpoints_owner_id_idx", "owner_id", "id"),
    # What an operator counts: few, among all there are.
    Index(
        "webhook_endpoints_disabled_idx",
        "id",
        postgresql_where=text("disabled_at IS NOT NULL AND deleted_at IS NULL"),
    ),
    postgresql_with={"fillfactor": "70"},
    comment="Who listens, and how they fare. Marked deleted, never removed. No event types means all of them.",
)

WEBHOOK_DELIVERIES = Table(
    "webhook_deliveries",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("endpoint_id", Uuid, ForeignKey("webhook_endpoints.id"), nullable=False),
    Column("event_id", Uuid, ForeignKey("events.id"), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_attempt_at", MOMENT),
    # How many of them an earlier schedule had: it begins anew when the delivery is revived.
    Column("earlier_attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("claim_id", Uuid),
    # Not in any index: a claim then touches none.
    Column("claimed_until", MOMENT),
    Column("created_at", MOMENT, nullable=False),
    Column("finished_at", MOMENT),
    CheckConstraint("status IN ('pending', 'delivered', 'exhausted')", name="status_known"),
    CheckConstraint("(claim_id IS NULL) = (claimed_until IS NULL)", name="claim_has_end"),
    CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_is_due"),
    CheckConstraint("(status = 'pending') = (finished_at IS NULL)", name="finished_has_time"),
    UniqueConstraint("endpoint_id", "event_id"),
    # By endpoint first, so that the endless arrears of one are stepped over to get to the next.
    Index("webhook_deliveries_due_idx", "endpoint_id", "next_attempt_at", postgresql_where=text("status = 'pending'")),
    # What an owner looks for. What was delivered is most of it, and has no place in it.
    Index(
        "webhook_deliveries_undelivered_idx",
        "endpoint_id",
        "status",
        "event_id",
        postgresql_where=text("status <> 'delivered'"),
    ),
    postgresql_with={"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.02"},
    comment="What an endpoint is owed: which bytes, and when next. A claim keeps others off it for a while.",
)

WEBHOOK_ATTEMPTS = Table(
    "webhook_attempts",
    METADATA,
    # No foreign key: the statement that writes an attempt writes its delivery too, and checking it was a third of what
    # that cost (docs/decisions/0018).
    Column("delivery_id", Uuid, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("started_at", MOMENT, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("http_status", SmallInteger),
    Column("error", Text),
    Column("answer_excerpt", Text),
    comment="What was tried: an HTTP status, or the class of the error that came instead.",
)

WEBHOOK_RECOVERIES = Table(
    "webhook_recoveries",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("endpoint_id", Uuid, ForeignKey("webhook_endpoints.id"), nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("until", MOMENT, nullable=False),
    Column("requested_at", MOMENT, nullable=False),
    # How far it has come: the lane it is in, and the last event's number that it has looked at there.
    Column("lane", SmallInteger, nullable=False, server_default=text("0")),
    Column("number", BigInteger),
    Column("owed", BigInteger, nullable=False, server_default=text("0")),
    Column("finished_at", MOMENT),
    Index(
        "webhook_recoveries_endpoint_id_key",
        "endpoint_id",
        unique=True,
        postgresql_where=text("finished_at IS NULL"),
    ),
    comment="Asked for over HTTP, carried out by upkeep: owe again what an endpoint was not delivered.",
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("name", Text),
    Column("expires_at", MOMENT),
    Column("last_used_at", MOMENT),
    Column("revoked_at", MOMENT),
    UniqueConstraint("key_hash"),
    Index("api_keys_owner_id_idx", "owner_id", "id"),
    comment="SHA-256 of a key of 32 random bytes; the key itself is shown once and kept nowhere.",
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("ends_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
    Index("sessions_ends_at_idx", "ends_at"),
    comment="What a log-in begins: a family of refresh tokens. Removed 30 days after its end.",
)

REFRESH_TOKENS = Table(
    "refresh_tokens",
    METADATA,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("session_id", Uuid, ForeignKey("sessions.id"), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("ends_at", MOMENT, nullable=False),
    Column("used_at", MOMENT),
    Index("refresh_tokens_session_id_idx", "session_id"),
    Index("refresh_tokens_ends_at_idx", "ends_at"),
    comment="SHA-256 of 32 random bytes, good once. Kept 30 days after its end, to know it if it comes again.",
)

LOGIN_FAILURES = Table(
    "login_failures",
    METADATA,
    Column("subject", LargeBinary, primary_key=True),
    Column("failures", SmallInteger, nullable=False),
    Column("last_at", MOMENT, nullable=False),
    Column("locked_until", MOMENT),
    Index("login_failures_last_at_idx", "last_at"),
    comment="By an HMAC of the email that was given, whether anybody has it or not. Removed after 30 days.",
)

AUDITS = Table(
    "audits",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("requested_at", MOMENT, nullable=False),
    Column("started_at", MOMENT),
    Column("finished_at", MOMENT),
    Column("report", JSON),
    CheckConstraint("(finished_at IS NULL) = (report IS NULL)", name="finished_has_report"),
    comment="Asked for over HTTP, carried out by upkeep: is any money missing?",
)

UPKEEP = Table(
    "upkeep",
    METADATA,
    Column("task", Text, primary_key=True),
    Column("done_at", MOMENT),
    comment="When each task of upkeep was last done, by whichever process.",
)
