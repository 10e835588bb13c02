"""Read the settings: once, in a composition root, frozen, and passed down from there."""

import sys
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.domain.lane import LANES_MAX

SECRET_BYTES_MIN = 32

WEEK_SECONDS = 7 * 24 * 3_600.0

RetryWait = Annotated[float, Field(gt=0, le=WEEK_SECONDS)]


class Settings(BaseSettings):
    """What every process needs to know. Each field is read from `HISHAB_` and its name in capitals.

    Attributes:
        log_transfers: Log a line for each transfer that is accepted and for each webhook that is delivered: two greps
            then lead from a request to its webhook, for 50 µs a line.
        sentry_dsn: Where to report crashes and alarms to; needs the extra `sentry`.
        crash_at: Where to die on purpose (`shared.crash_points`). Refused unless `allow_crashes` says so too.
        allow_crashes: Tests only.
    """

    model_config = SettingsConfigDict(env_prefix="HISHAB_", frozen=True, extra="ignore")

    database_url: str
    broker_url: str = "redis://127.0.0.1:6379/0"
    log_format: Literal["console", "json"] = "console"
    log_transfers: bool = False
    sentry_dsn: str | None = Field(default=None, repr=False)
    crash_at: str | None = None
    allow_crashes: bool = False

    @model_validator(mode="after")
    def _crash_for_tests_alone(self) -> Self:
        if self.crash_at and not self.allow_crashes:
            raise ValueError("HISHAB_CRASH_AT kills processes on purpose; HISHAB_ALLOW_CRASHES=true is for tests alone")
        return self


class MigrationSettings(Settings):
    """What making or upgrading the database needs to know.

    Attributes:
        lane_count: How many lanes a new database gets. Ignored when it has some: changing the count is a runbook.
    """

    lane_count: int = Field(default=1, ge=1, le=LANES_MAX)


class ApiSettings(Settings):
    """What the edge needs to know.

    Attributes:
        token_keys: `kid:hex` pairs; the first signs, all of them verify.
        pin_pepper: Hex; keyed into every PIN's hash, kept out of the database.
        webhook_secret_keys: Fernet keys; the first encrypts endpoints' secrets, all of them decrypt.
        webhook_https_only: Refuse to register endpoints that are not https.
        opening_grant_minor: What a new user's BDT wallet is given, in paisa. Source: the predecessor, 5,000 taka.
        database_pool_size: Connections for all but accepting and short looks. Source: faults.md, section 2.2.
        intake_waiting_max: Transfers that may wait for the next write, and as many in batches, before callers are told
            to come back. One owner may have a quarter of either waiting.
        intake_waiting_bytes_max: The same in bytes of the requests that brought them.
        backlog_max: Transfers that may be queued before nothing new is accepted. Source: docs/decisions/0013.
        watched_max: Transfers that callers may wait for at once; beyond that they are answered without waiting.
        requests_per_second: What one caller may ask of one process of the edge; operators are not counted.
        sign_ins_per_minute: Sign-ups and log-ins that one address may ask of one process of the edge. An address behind
            a proxy is known where uvicorn trusts the proxy (FORWARDED_ALLOW_IPS; 127.0.0.1 unless it is set).
        cors_origins: Origins whose scripts may call the API from a browser, like `https://app.example.org`.
        stream_ping_seconds: How often a stream with nothing to tell sends a comment. Source: http-api.md.
        stalled_seconds: How long the head of a lane may wait before `/readyz` calls the lane stuck.
            Source: faults.md, F2.
        allow_fsync_off: Tests only; otherwise a PostgreSQL that may lose commits is refused.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    token_keys: Annotated[tuple[tuple[str, bytes], ...], NoDecode]
    pin_pepper: Annotated[bytes, NoDecode]
    webhook_secret_keys: Annotated[tuple[str, ...], NoDecode]
    webhook_https_only: bool = True
    opening_grant_minor: int = Field(default=500_000, ge=1, le=10**12)
    database_pool_size: int = Field(default=10, ge=2, le=100)
    intake_waiting_max: int = Field(default=20_000, ge=1)
    intake_waiting_bytes_max: int = Field(default=32 * 1024 * 1024, ge=1)
    backlog_max: int = Field(default=1_000_000, ge=1)
    watched_max: int = Field(default=10_000, ge=0)
    requests_per_second: int = Field(default=500, ge=1)
    sign_ins_per_minute: int = Field(default=60, ge=1)
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    stream_ping_seconds: float = Field(default=15.0, gt=0)
    stalled_seconds: float = Field(default=10.0, gt=0)
    allow_fsync_off: bool = False

    @field_validator("token_keys", mode="before")
    @classmethod
    def _read_token_keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition(":") for pair in value.split(",")]
        return tuple((key_id.strip(), _secret(secret)) for key_id, _, secret in pairs)

    @field_validator("pin_pepper", mode="before")
    @classmethod
    def _read_pepper(cls, value: object) -> object:
        return _secret(value) if isinstance(value, str) else value

    @field_validator("webhook_secret_keys", "cors_origins", mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return _listed(value)


class WorkerSettings(Settings):
    """What the background needs to know.

    Attributes:
        lane_processes: Lanes drained at once by one lane worker. Source: architecture.md, section 4.
        webhook_allowed_cidrs: Ranges that webhooks may reach although they are not public (local testing).
        webhook_retry_seconds: How long after a failed attempt the next one follows, each give or take a fifth.
            At most thirty of them, none longer than a week. Source: webhooks.md, section Delivery.
        webhook_overloaded_seconds: How long a receiver is left alone, at least, after a 429 or a time-out.
        webhook_disable_after_seconds: An endpoint that gave nothing but failures for so long is disabled.
        sweep_age_seconds: How old the head of an idle lane is when upkeep takes its wake-up for lost.
    """

    lane_processes: int = Field(default=1, ge=1, le=LANES_MAX)
    webhook_secret_keys: Annotated[tuple[str, ...], NoDecode] = ()
    webhook_https_only: bool = True
    webhook_allowed_cidrs: Annotated[tuple[str, ...], NoDecode] = ()
    webhook_retry_seconds: Annotated[tuple[RetryWait, ...], Field(max_length=30), NoDecode] = (
        5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
    )  # fmt: skip
    webhook_overloaded_seconds: float = Field(default=60.0, ge=0, le=WEEK_SECONDS)
    webhook_disable_after_seconds: float = Field(default=5 * 24 * 3_600.0, gt=0)
    sweep_age_seconds: float = Field(default=1.0, gt=0)

    @field_validator("webhook_secret_keys", "webhook_allowed_cidrs", "webhook_retry_seconds", mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return _listed(value)


Kind = TypeVar("Kind", bound=Settings)


def read_settings(kind: type[Kind]) -> Kind:
    """Read the settings of a process from its environment.

    Raises:
        SystemExit: Something is missing or not as it should be; says what, and not what it was.
    """
    try:
        return kind()  # pyright: ignore[reportCallIssue] (the fields come from the environment)
    except ValidationError as error:
        wrong = [f"HISHAB_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        sys.exit("The settings are not complete.\n" + "\n".join(wrong))


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _secret(text: str) -> bytes:
    secret = bytes.fromhex(text.strip())
    if len(secret) < SECRET_BYTES_MIN:
        message = f"a secret needs at least {SECRET_BYTES_MIN} bytes, as hex; this one has {len(secret)}"
        raise ValueError(message)
    return secret
