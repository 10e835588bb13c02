"""Send a request until its outcome is known: again and again while that may help, under the same key each time.

Every request here may be sent again without harm: it reads, the server makes it so (a wallet, an audit), or it carries
an idempotency key. An attempt whose outcome is unknown is therefore no error yet.
"""

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from hishab.answers import Problem, Tokens
from hishab.credentials import Credentials
from hishab.errors import DeniedError, HishabError, RefusedError, UnavailableError, UnexpectedAnswerError
from hishab.retry import LOCKED_OUT, delay_seconds, is_worth_repeating, may_have_acted

TIMEOUT = httpx2.Timeout(30.0, connect=5.0, pool=None)
"""Longer than the server holds an answer back (25 s), or is silent in a stream (15 s)."""

KEEP_ALIVE_SECONDS = 3.0
"""Below what servers and proxies keep an idle connection for (some 5 s), so that we seldom send into a closing one."""

LOOPBACK_HOSTS = {"127.0.0.1", "::1", "localhost"}
IDEMPOTENCY_KEY = "Idempotency-Key"
UNAUTHORIZED = 401
NOT_MODIFIED = 304
INVALID_GRANT = "invalid_grant"

_PASSING = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)
_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.LocalProtocolError,
    httpx2.UnsupportedProtocol,
)

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, as often as it may take."""

    method: str = "GET"
    path: str
    params: Sequence[tuple[str, str]] = ()
    body: object = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    idempotency_key: str | None = None


class Sender:
    """Keeps the connections to one Hishab, and what lets us in."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials,
        patience_seconds: float,
        first_answer_seconds: float,
        connections_max: int,
    ) -> None:
        self._url = url
        self._credentials = credentials
        self._patience_seconds = patience_seconds
        self._first_answer_seconds = min(first_answer_seconds, patience_seconds)
        self._has_answered = False
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Accept": "application/json", "User-Agent": "hishab"},
            timeout=TIMEOUT,
            # A proxy from the environment leads out of this machine, where our loopback is another.
            trust_env=httpx2.URL(url).host not in LOOPBACK_HOSTS,
            limits=httpx2.Limits(
                max_connections=connections_max,
                max_keepalive_connections=connections_max,
                keepalive_expiry=KEEP_ALIVE_SECONDS,
            ),
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def send(
        self, request: Request, *, patience_seconds: float = math.inf, as_stream: bool = False
    ) -> httpx2.Response:
        """Return the good answer to a request (2xx, or 304), however many attempts it takes.

        Args:
            patience_seconds: Give up earlier than usual.
            as_stream: The body is not read yet, and whoever gets the answer closes it.

        Raises:
            HishabError: As `Client` says.
        """
        return await self._send(
            request, credentials=self._credentials, patience_seconds=patience_seconds, as_stream=as_stream
        )

    async def _send(
        self,
        request: Request,
        *,
        credentials: Credentials,
        patience_seconds: float = math.inf,
        as_stream: bool = False,
    ) -> httpx2.Response:
        clock = asyncio.get_running_loop()
        began_at, attempt, in_doubt, renewed = clock.time(), 0, False, False
        try:
            bearer = await credentials.bearer(self._tokens)
            while True:
                attempt += 1
                ending = await self._attempt(request, bearer=bearer, attempt=attempt, as_stream=as_stream)
                if isinstance(ending, httpx2.Response):
                    return ending
                in_doubt = in_doubt or (ending.may_have_acted and request.method != "GET")
                if ending.error.status == UNAUTHORIZED and not renewed:
                    refused, renewed = bearer, True
                    bearer = await credentials.bearer(self._tokens, refused=refused)
                    if bearer != refused:
                        continue
                # Chance spreads those who failed together; it guards nothing.
                wait_seconds = delay_seconds(attempt, retry_after=ending.retry_after, chance=random.random())  # noqa: S311
                too_late = clock.time() + wait_seconds - began_at > min(self._patience(), patience_seconds)
                if too_late or not ending.is_passing:
                    raise ending.error
                await asyncio.sleep(wait_seconds)
        except HishabError as error:
            error.idempotency_key, error.outcome_unknown = request.idempotency_key, in_doubt
            raise

    def _patience(self) -> float:
        return self._patience_seconds if self._has_answered else self._first_answer_seconds

    async def _tokens(self, form: Mapping[str, str]) -> Tokens:
        request = Request(method="POST", path="/v1/token", form=form)
        return parse(await self._send(request, credentials=Credentials()), Tokens)

    async def _attempt(
        self, request: Request, *, bearer: str, attempt: int, as_stream: bool
    ) -> "httpx2.Response | _Setback":
        """Send a request once. Returns its good answer, or what came instead."""
        try:
            answer = await self._http.send(self._built(request, bearer=bearer), stream=as_stream)
            self._has_answered = True
            if answer.is_success or answer.status_code == NOT_MODIFIED:
                return answer
            await answer.aread()
        except httpx2.HTTPError as error:
            return self._without_answer(error)
        problem = _problem(answer)
        status = answer.status_code
        is_passing = is_worth_repeating(status, code=problem.code, attempt=attempt)
        return _Setback(
            error=_as_error(problem, answer=answer, kind=UnavailableError if is_passing else _kind(problem, status)),
            retry_after=answer.headers.get("Retry-After", ""),
            may_have_acted=may_have_acted(status, code=problem.code),
            is_passing=is_passing,
        )

    def _built(self, request: Request, *, bearer: str) -> httpx2.Request:
        headers = {name: value.encode() for name, value in request.headers.items()}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}".encode()
        if request.idempotency_key is not None:
            # Whatever is in it, the server is to say what is wrong with it.
            headers[IDEMPOTENCY_KEY] = request.idempotency_key.encode()
        return self._http.build_request(
            request.method,
            request.path,
            params=list(request.params) or None,
            json=request.body,
            data=request.form,
            headers={name.encode(): value for name, value in headers.items()},
        )

    def _without_answer(self, error: httpx2.HTTPError) -> "_Setback":
        reason = str(error) or type(error).__name__
        is_passing = isinstance(error, _PASSING)
        return _Setback(
            error=UnavailableError(f"{self._url} does not answer: {reason}.")
            if is_passing
            else UnexpectedAnswerError(f"{self._url} cannot be spoken to: {reason}."),
            retry_after="",
            may_have_acted=not isinstance(error, _NEVER_SENT),
            is_passing=is_passing,
        )


def parse(answer: httpx2.Response, shape: type[Shape]) -> Shape:
    """Return the body of a good answer.

    Raises:
        UnexpectedAnswerError: It is not in the contract. What was asked for may have happened.
    """
    try:
        return shape.model_validate_json(answer.content)
    except ValidationError as error:
        where = f"{answer.request.method} {answer.request.url.path}"
        raise UnexpectedAnswerError(
            f"The answer to {where} is not the one in the contract.",
            status=answer.status_code,
            request_id=answer.headers.get("X-Request-ID"),
            idempotency_key=answer.request.headers.get(IDEMPOTENCY_KEY),
            outcome_unknown=answer.request.method != "GET",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setback:
    """An attempt that brought no good answer.

    Attributes:
        retry_after: When the server would like the next.
        may_have_acted: It may have had its effect all the same.
        is_passing: Another attempt may end otherwise.
    """

    error: HishabError
    retry_after: str
    may_have_acted: bool
    is_passing: bool


def _kind(problem: Problem, status: int) -> type[HishabError]:
    if status in {401, 403} or problem.code in {INVALID_GRANT, LOCKED_OUT}:
        return DeniedError
    if 400 <= status < 500:  # noqa: PLR2004 (the class of statuses)
        return RefusedError
    return UnavailableError if status >= 500 else UnexpectedAnswerError  # noqa: PLR2004 (ditto)


def _problem(answer: httpx2.Response) -> Problem:
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        # Not ours: a proxy's page, most likely.
        return Problem()


def _as_error(problem: Problem, *, answer: httpx2.Response, kind: type[HishabError]) -> HishabError:
    said = problem.detail or problem.title or problem.code or f"HTTP {answer.status_code} {answer.reason_phrase}"
    return kind(
        "; ".join([said, *(f"{part.pointer} {part.detail}" for part in problem.errors)]),
        code=problem.code or f"http_{answer.status_code}",
        status=answer.status_code,
        request_id=problem.request_id or answer.headers.get("X-Request-ID"),
        errors=problem.errors,
    )
