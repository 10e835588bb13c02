"""Record every operation of every client: when it was asked for, and whether it was done, refused, or nobody knows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TextIO

from shared import clock


class Outcome(StrEnum):
    """What a client knows of an operation."""

    OK = "ok"
    FAILED = "failed"
    """It was refused, and this attempt wrote nothing: so the answer says, or nobody was there to ask."""

    UNKNOWN = "unknown"
    """No answer, or one that does not say."""


class Kind(StrEnum):
    """What a client may do."""

    SUBMIT = "submit"
    REPLAY = "replay"
    MISMATCH = "mismatch"
    """The key of another request that was accepted: has to be refused."""

    BATCH = "batch"
    REPLAY_BATCH = "replay batch"
    READ = "read"
    READ_WALLET = "read wallet"
    READY = "ready"


SUBMITTING = frozenset({Kind.SUBMIT, Kind.REPLAY, Kind.BATCH, Kind.REPLAY_BATCH})


@dataclass(slots=True, kw_only=True)
class Operation:
    """One request of one client. Times are on the monotonic clock.

    Attributes:
        about: The idempotency key, or the id of what is read.
        person: Whose it is, as a number; -1 for nobody's.
        asked: The body, as it was meant.
        waits: Whether it asked to be answered only once there is more to say.
        code: Of the problem that was answered.
        body: What was answered, where it is looked at later.
        trouble: The error that came instead of an answer.
        retry_after: Whether the answer said when to come back.
        replayed: Whether the answer said that the key had been used before, for the same.
    """

    number: int
    kind: Kind
    about: str
    person: int
    asked: Mapping[str, Any] | None
    invoked_seconds: float
    waits: bool = False
    answered_seconds: float | None = None
    outcome: Outcome = Outcome.UNKNOWN
    status: int | None = None
    code: str | None = None
    body: str | None = None
    trouble: str | None = None
    retry_after: bool = False
    replayed: bool = False

    @property
    def told(self) -> dict[str, Any]:
        """What was answered."""
        return json.loads(self.body or "{}")

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return None if self.answered_seconds is None else self.answered_seconds - self.invoked_seconds


@dataclass(slots=True, kw_only=True)
class History:
    """All operations of a run, in order of asking, each also written down at once: two lines of JSON."""

    file: TextIO
    operations: list[Operation] = field(default_factory=list[Operation])

    def invoke(
        self, kind: Kind, *, about: str, person: int, asked: Mapping[str, Any] | None = None, waits: bool = False
    ) -> Operation:
        """Note that something is asked for now."""
        operation = Operation(
            number=len(self.operations),
            kind=kind,
            about=about,
            person=person,
            asked=asked,
            invoked_seconds=clock.monotonic_seconds(),
            waits=waits,
        )
        self.operations.append(operation)
        self._write(
            {
                "number": operation.number,
                "at": operation.invoked_seconds,
                "is": "invoke",
                "kind": kind,
                "about": about,
                "person": person,
                "asked": asked,
            }
        )
        return operation

    def answered(
        self, operation: Operation, *, outcome: Outcome, status: int, body: str, headers: Mapping[str, str]
    ) -> None:
        """Note an answer."""
        operation.answered_seconds = clock.monotonic_seconds()
        operation.outcome, operation.status, operation.body = outcome, status, body
        operation.retry_after = "retry-after" in headers
        operation.replayed = "idempotent-replayed" in headers
        if status >= 400:
            operation.code = _code(body)
        self._ended(operation)

    def failed(self, operation: Operation, *, outcome: Outcome, trouble: str) -> None:
        """Note that there was no answer."""
        operation.answered_seconds = clock.monotonic_seconds()
        operation.outcome, operation.trouble = outcome, trouble
        self._ended(operation)

    def _ended(self, operation: Operation) -> None:
        line = {
            "number": operation.number,
            "at": operation.answered_seconds,
            "is": operation.outcome,
            "status": operation.status,
            "code": operation.code,
            "trouble": operation.trouble,
            "body": operation.body,
        }
        self._write({name: value for name, value in line.items() if value is not None})

    def _write(self, line: Mapping[str, Any]) -> None:
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")


def _code(body: str) -> str | None:
    try:
        return json.loads(body).get("code")
    except (ValueError, AttributeError):
        return None
