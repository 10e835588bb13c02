"""Say how a delivery of a webhook can stand, and how one attempt at it can end."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ATTEMPTS_MAX: Final = 1_000
"""Of one delivery, over all its schedules: who asks for more has it sent from the feed of events."""

KEPT_DAYS: Final = 90
"""How long a delivery is kept after its end, and how far back a recovery goes. Source: docs/decisions/0019."""

_GONE: Final = 410
_TOO_MANY_REQUESTS: Final = 429


class DeliveryStatus(StrEnum):
    """How a delivery stands. What was given up stays recoverable."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"


class AttemptError(StrEnum):
    """Why there is no HTTP status: the class of the trouble, never an address or a text from the other side."""

    BLOCKED_ADDRESS = "blocked_address"
    URL_NOT_ALLOWED = "url_not_allowed"
    HOST_UNKNOWN = "host_unknown"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    TIMEOUT = "timeout"
    ANSWER_INVALID = "answer_invalid"
    NOT_SENT = "not_sent"


ERROR_MESSAGES: Final = {
    AttemptError.BLOCKED_ADDRESS: "The host's address is not a public one, and nothing was sent. For local testing, "
    "HISHAB_WEBHOOK_ALLOWED_CIDRS opens named ranges.",
    AttemptError.URL_NOT_ALLOWED: "The URL breaks a rule that was set after it was registered, and nothing was sent.",
    AttemptError.HOST_UNKNOWN: "The host's name could not be resolved.",
    AttemptError.CONNECTION_FAILED: "The connection was refused, or broke before an answer came.",
    AttemptError.TLS_FAILED: "No secure connection could be made: look at the certificate.",
    AttemptError.TIMEOUT: "No answer came in time.",
    AttemptError.ANSWER_INVALID: "What came back was not HTTP.",
    AttemptError.NOT_SENT: "A defect on our side kept it from being sent.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt: either an HTTP status or an error.

    Attributes:
        excerpt: The beginning of the answer's body, at most 2 kB, without NULs.
        retry_after_seconds: What the receiver asked for in `Retry-After`.
    """

    http_status: int | None = None
    error: AttemptError | None = None
    excerpt: str | None = None
    retry_after_seconds: float | None = None

    @property
    def delivered(self) -> bool:
        """Say whether it was acknowledged; a redirect is not."""
        return self.http_status is not None and 200 <= self.http_status <= 299  # noqa: PLR2004 (HTTP's success)

    @property
    def gone(self) -> bool:
        """Say whether the receiver wants nothing more, ever."""
        return self.http_status == _GONE

    @property
    def overloaded(self) -> bool:
        """Say whether the receiver had too much to do."""
        return self.http_status == _TOO_MANY_REQUESTS or self.error is AttemptError.TIMEOUT
