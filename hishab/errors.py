"""Tell what a call to a Hishab may end in, each class by what its caller should do about it."""


class HishabError(Exception):
    """Any such ending.

    Attributes:
        detail: One sentence for people.
        code: The problem's code, for programs; empty if the answer carried none.
        status: The HTTP status, None without an answer.
        request_id: What to tell whoever runs the system; None without an answer.
    """

    def __init__(
        self, detail: str, *, code: str = "", status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        known = [str(self.status or ""), self.code, f"request {self.request_id}" if self.request_id else ""]
        about = ", ".join(part for part in known if part)
        return f"{self.detail} ({about})" if about else self.detail


class RefusedError(HishabError):
    """The server understood and said no: mend the request. This attempt wrote nothing."""


class DeniedError(HishabError):
    """The API key is unknown, revoked, or lacks a scope: mend the key, the request may be right."""


class UnavailableError(HishabError):
    """No answer that settles the matter came in time: send the same again later, under the same idempotency key."""


class UnexpectedAnswerError(HishabError):
    """The server answered something that is not in its contract: is it a Hishab, and not a newer one?"""
