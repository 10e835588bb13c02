"""Tell what a call to a Hishab may end in, each class by what its caller should do about it."""

from collections.abc import Sequence

from hishab.answers import ProblemPart


class HishabError(Exception):
    """Any such ending.

    Attributes:
        detail: One sentence for people.
        code: The problem's code, for programs; empty if the answer carried none. New ones may appear at any time.
        status: The HTTP status, None without an answer.
        request_id: What to tell whoever runs the system; None without an answer.
        errors: The parts of the request that are wrong, as far as the server named them.
        idempotency_key: What the request was sent under, if it was sent under one: go on with it, not with a new one.
        outcome_unknown: Some attempt of this very call may have had its effect, or may have it yet. Only the same
            request under the same key finds out. What earlier calls brought about is not known here.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str = "",
        status: int | None = None,
        request_id: str | None = None,
        errors: Sequence[ProblemPart] = (),
        idempotency_key: str | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.request_id = request_id
        self.errors = tuple(errors)
        self.idempotency_key = idempotency_key
        self.outcome_unknown = outcome_unknown

    def __str__(self) -> str:
        known = [str(self.status or ""), self.code, f"request {self.request_id}" if self.request_id else ""]
        about = ", ".join(part for part in known if part)
        return f"{self.detail} ({about})" if about else self.detail


class RefusedError(HishabError):
    """The server understood and said no: mend the request, and keep its key. This attempt wrote nothing."""


class DeniedError(HishabError):
    """The API key or log-in is unknown, expired, or lacks a scope: mend that, the request may be right."""


class UnavailableError(HishabError):
    """No answer that settles the matter came in time: send the same again later, under the same idempotency key."""


class NotFinalError(HishabError):
    """A transfer was not final in time: it is accepted and safe, and goes on by itself. Wait on."""


class UnexpectedAnswerError(HishabError):
    """The server answered something that is not in its contract: is it a Hishab, and not a newer one?"""


class UntrustedWebhookError(HishabError):
    """Something that calls itself a webhook was not signed with your secret, or long ago: do nothing, answer 400."""
