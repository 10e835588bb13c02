"""Name what can be wrong with a request, in the trade's words; the edge says each in HTTP's (`api/problems.py`)."""

from collections.abc import Mapping


class RequestRefused(Exception):
    """The request is answered by a problem. Each kind's docstring tells the caller why, and what to do about it.

    It wrote nothing, unless the kind says otherwise (`OutcomeUnknown`, `ServiceUnavailable`).

    Attributes:
        retry_seconds: When to come back, where that is not the same each time.
    """

    retry_seconds: int | None = None

    @property
    def detail(self) -> str:
        """Say what is wrong and what to do about it."""
        return " ".join((type(self).__doc__ or "").split())


class IdempotencyKeyMissing(RequestRefused):
    """Send an Idempotency-Key header, a new one for each transfer and the same one for each retry of it."""


class IdempotencyKeyInvalid(RequestRefused):
    """An Idempotency-Key has 1 to 255 visible ASCII characters and no spaces."""


class IdempotencyKeyReused(RequestRefused):
    """This Idempotency-Key was used for another request. Use a new key for a new transfer."""


class IdempotencyKeyInUse(RequestRefused):
    """Another request with this Idempotency-Key is under way. Send the same request again in a second."""


class WalletNotFound(RequestRefused):
    """There is no such wallet, or it is not yours."""


class DestinationUnknown(RequestRefused):
    """There is no such destination: no wallet has that id, or nobody with that email has a wallet in that currency."""


class LaneNotFound(RequestRefused):
    """There is no such lane. GET /v1/system/lanes lists those there are."""


class SameWallet(RequestRefused):
    """Source and destination are the same wallet."""


class CurrencyMismatch(RequestRefused):
    """Source, destination and amount must be in one currency."""


class BatchInvalid(RequestRefused):
    """Some transfers of the batch cannot be accepted, so none of them was; errors names each that cannot."""

    def __init__(self, items: Mapping[int, RequestRefused] | None = None) -> None:
        """Say by place, from zero, what is wrong with which."""
        super().__init__()
        self.items = dict(items or {})


class CurrencyUnknown(RequestRefused):
    """There is no such currency. `GET /v1/currencies` lists them."""


class ExternalIdMissing(RequestRefused):
    """Operators give each wallet an external_id, a name of their own."""


class EmailTaken(RequestRefused):
    """Somebody has signed up with this email. After a resend that may have been you: log in; success means it was."""


class ExternalIdTaken(RequestRefused):
    """A wallet with this external_id exists in another currency."""


class TransferNotFound(RequestRefused):
    """There is no such transfer, or it is not yours."""


class BatchNotFound(RequestRefused):
    """There is no such batch, or it is not yours."""


class EndpointNotFound(RequestRefused):
    """There is no such webhook endpoint, or it is not yours."""


class EndpointLimitReached(RequestRefused):
    """An owner has at most ten webhook endpoints. Delete one first."""


class EndpointDisabled(RequestRefused):
    """This webhook endpoint is disabled, and nothing is sent to it. Enable it first."""


class DeliveryNotFound(RequestRefused):
    """This webhook endpoint has no such delivery."""


class ResendLimitReached(RequestRefused):
    """This delivery was attempted a thousand times. Read the event from `GET /v1/events` instead."""


class RecoveryUnderWay(RequestRefused):
    """A recovery of this webhook endpoint is under way. Ask again once it is finished; most take seconds."""


class AuditNotFound(RequestRefused):
    """There is no such audit."""


class ApiKeyNotFound(RequestRefused):
    """There is no such API key, or it is not yours."""


class ApiKeyLimitReached(RequestRefused):
    """An owner has at most a hundred API keys that are good. Revoke one first."""


class NotAuthenticated(RequestRefused):
    """Send `Authorization: Bearer` with a token from `POST /v1/token`, or with an API key."""


class ScopeMissing(RequestRefused):
    """These credentials do not carry the scope that this call needs."""


class QuotaExceeded(RequestRefused):
    """You have asked too often. The RateLimit headers say how often you may; come back after Retry-After seconds."""

    def __init__(self, retry_seconds: int = 1) -> None:
        super().__init__()
        self.retry_seconds = retry_seconds


class TooManyAttempts(RequestRefused):
    """Too many attempts to sign up or log in, with this email or from your address. Wait for Retry-After seconds.

    Nothing was looked at. Tokens and keys that are good go on.
    """

    def __init__(self, retry_seconds: int = 1) -> None:
        super().__init__()
        self.retry_seconds = retry_seconds


class TooBusy(RequestRefused):
    """Too many sign up or log in at this moment. Send the same request again after Retry-After seconds."""


class CursorInvalid(RequestRefused):
    """This cursor is not one of ours, or belongs to another list. Start again without it."""


class QueueUnavailable(RequestRefused):
    """This request was not accepted and wrote nothing. Send the same request again after Retry-After seconds."""


class OutcomeUnknown(RequestRefused):
    """The database did not confirm the commit, so the request may have been accepted or not.

    A transfer: send the same request again, with the same Idempotency-Key. A sign-up: log in; success means it was you.
    """

    def __init__(self, *, on_primary_only: bool = False) -> None:
        """Say whether it is known to be committed, and its synchronous standby does not confirm that it has it."""
        super().__init__()
        self.on_primary_only = on_primary_only


class ServiceUnavailable(RequestRefused):
    """The database cannot be reached at this moment. Try again after Retry-After seconds.

    If you asked for something to be made, look first whether it was.
    """
