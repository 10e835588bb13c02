"""Speak to a Hishab over HTTP: typed calls that are repeated until their outcome is known.

Every call here may be sent again without harm: it reads, the server makes it so (a wallet, an audit), or it carries an
idempotency key. An attempt whose outcome is unknown is therefore no error yet: the same request goes out again.
"""

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from hishab.answers import (
    Audit,
    Currency,
    CurrencyPage,
    OpenedWallet,
    OpenedWallets,
    Problem,
    Transfer,
    TransferPage,
    Wallet,
    WalletPage,
)
from hishab.errors import DeniedError, HishabError, RefusedError, UnavailableError, UnexpectedAnswerError
from hishab.retry import delay_seconds, is_worth_repeating

CONNECTIONS_MAX = 64
PATIENCE_SECONDS = 600.0
"""A machine that is rebooted or moved is back within ten minutes. Source: decision."""

FIRST_ANSWER_SECONDS = 10.0
"""Whoever has never answered is rather absent than restarting; `hishab up` is ready within this. Source: issue 2."""

TIMEOUT = httpx2.Timeout(30.0, connect=5.0, pool=None)
KEEP_ALIVE_SECONDS = 3.0
"""Below the 5 s after which uvicorn closes an idle connection, so that we seldom send into a closing one."""

LOOPBACK_HOSTS = {"127.0.0.1", "::1", "localhost"}
NOT_FOUND = 404
PAGE_ITEMS_MAX = 100
EXTERNAL_IDS_MAX = 100
URL_BYTES_MAX = 6_000
"""Below the 8 kB that common proxies take. Source: nginx, `large_client_header_buffers`."""

WALLETS_MAX = 1_000
BODY_BYTES_MAX = 60_000
"""Below the 64 kB that the server takes."""

Shape = TypeVar("Shape", bound=BaseModel)
ErrorKind = TypeVar("ErrorKind", bound=HishabError)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A transfer that the server has taken on; `replayed` if it had done so before, under the same key."""

    transfer: Transfer
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, as often as it may take."""

    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Client:
    """A caller's connection to one Hishab, with one API key. An asynchronous context manager.

    Every call raises, beyond what it names itself:
        RefusedError: The server said no (a 4xx).
        DeniedError: The key is not good enough (401, 403).
        UnavailableError: No answer that settles it within `patience_seconds`; the outcome may be unknown.
        UnexpectedAnswerError: The answer is not in the contract.

    Args:
        url: Where the API listens, like `http://127.0.0.1:8000`.
        api_key: `sk_…`.
        patience_seconds: How long one call may take with all its repetitions.
        first_answer_seconds: The same for as long as there has not been any answer.
        connections_max: How many requests may be under way at once; more wait their turn.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str,
        patience_seconds: float = PATIENCE_SECONDS,
        first_answer_seconds: float = FIRST_ANSWER_SECONDS,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self.url = url
        self.patience_seconds = patience_seconds
        self.connections_max = connections_max
        self._first_answer_seconds = min(first_answer_seconds, patience_seconds)
        self._has_answered = False
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}", "Accept": "application/json", "User-Agent": "hishab"},
            timeout=TIMEOUT,
            # A proxy from the environment leads out of this machine, where our loopback is another.
            trust_env=httpx2.URL(url).host not in LOOPBACK_HOSTS,
            limits=httpx2.Limits(
                max_connections=connections_max,
                max_keepalive_connections=connections_max,
                keepalive_expiry=KEEP_ALIVE_SECONDS,
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def currencies(self) -> list[Currency]:
        """Return every currency."""
        return (await self._read("/v1/currencies", CurrencyPage)).data

    async def issuance_wallet(self, currency: str) -> Wallet:
        """Return the wallet that a currency's money comes out of. For operators."""
        page = await self._read("/v1/wallets", WalletPage, params=[("kind", "issuance"), ("currency", currency)])
        if not page.data:
            raise RefusedError(f"{currency} has no issuance wallet that this key may use.", code="wallet_not_found")
        return page.data[0]

    async def find_wallet(self, wallet_id: str) -> Wallet | None:
        """Return one wallet, None if the caller has no such one."""
        return await self._find(f"/v1/wallets/{wallet_id}", Wallet)

    async def wallets(self, external_ids: Sequence[str]) -> list[Wallet]:
        """Return those of the caller's wallets that bear one of these names, in no particular order."""
        found: list[Wallet] = []
        for names in _in_parts(external_ids, items_max=EXTERNAL_IDS_MAX, bytes_max=URL_BYTES_MAX, size=_size_in_url):
            params = [("limit", str(PAGE_ITEMS_MAX)), *(("external_id", name) for name in names)]
            found += (await self._read("/v1/wallets", WalletPage, params=params)).data
        return found

    async def open_wallets(self, wanted: Sequence[Mapping[str, str]]) -> list[OpenedWallet]:
        """Make the wallets that are not there yet; return what became of each, in order. For operators.

        Args:
            wanted: `currency` and `external_id` of each.
        """
        opened: list[OpenedWallet] = []
        for part in _in_parts(wanted, items_max=WALLETS_MAX, bytes_max=BODY_BYTES_MAX, size=_size_in_body):
            answer = await self._send(Request(method="POST", path="/v1/wallets", body=part))
            items = _parse(answer, OpenedWallets).data
            if len(items) != len(part):
                raise UnexpectedAnswerError(
                    f"{self.url} answered {len(items)} wallets where {len(part)} were asked for."
                )
            opened += items
        return opened

    async def send_transfer(
        self,
        idempotency_key: str,
        *,
        source_wallet_id: str,
        destination_wallet_id: str,
        amount_minor: int,
        currency: str,
        reference: str | None,
    ) -> Acceptance:
        """Have a transfer accepted: once, however often this is called with the same key.

        Args:
            idempotency_key: 1-255 visible ASCII characters that stand for this one payment.
            reference: Up to 64 characters that both sides see.
        """
        body: dict[str, object] = {
            "source_wallet_id": source_wallet_id,
            "destination_wallet_id": destination_wallet_id,
            "amount": amount_minor,
            "currency": currency,
        }
        if reference is not None:
            body["reference"] = reference
        request = Request(method="POST", path="/v1/transfers", body=body, headers={"Idempotency-Key": idempotency_key})
        answer = await self._send(request)
        replayed = answer.headers.get("Idempotent-Replayed") == "true"
        return Acceptance(transfer=_parse(answer, Transfer), replayed=replayed)

    async def find_transfer(self, transfer_id: str) -> Transfer | None:
        """Return one transfer as it is now, None if the caller has no part in such a one."""
        return await self._find(f"/v1/transfers/{transfer_id}", Transfer)

    async def find_transfer_by_key(self, idempotency_key: str) -> Transfer | None:
        """Return the caller's transfer that was accepted under a key, if there is one."""
        page = await self._read("/v1/transfers", TransferPage, params=[("idempotency_key", idempotency_key)])
        return page.data[0] if page.data else None

    async def transfer_page(self, *, cursor: str | None = None) -> TransferPage:
        """Return a page of the caller's transfers, newest first: the first one, or that which a cursor leads to."""
        params = [("limit", str(PAGE_ITEMS_MAX))]
        if cursor is not None:
            params.append(("cursor", cursor))
        return await self._read("/v1/transfers", TransferPage, params=params)

    async def request_audit(self) -> Audit:
        """Ask for a check of the whole ledger. For operators."""
        return _parse(await self._send(Request(method="POST", path="/v1/system/audits")), Audit)

    async def audit(self, audit_id: str) -> Audit:
        """Return how far a check has come. For operators."""
        return await self._read(f"/v1/system/audits/{audit_id}", Audit)

    async def _read(self, path: str, shape: type[Shape], *, params: Sequence[tuple[str, str]] = ()) -> Shape:
        return _parse(await self._send(Request(method="GET", path=path, params=params)), shape)

    async def _find(self, path: str, shape: type[Shape]) -> Shape | None:
        try:
            return await self._read(path, shape)
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    async def _send(self, request: Request) -> httpx2.Response:
        """Send a request until it has an answer that settles it."""
        clock = asyncio.get_running_loop()
        began_at, attempt = clock.time(), 0
        while True:
            attempt += 1
            ending = await self._attempt(request, attempt=attempt)
            if isinstance(ending, httpx2.Response):
                return ending
            # Chance spreads those who failed together; it guards nothing.
            wait_seconds = delay_seconds(attempt, retry_after=ending.retry_after, chance=random.random())  # noqa: S311
            patience_seconds = self.patience_seconds if self._has_answered else self._first_answer_seconds
            if clock.time() + wait_seconds - began_at > patience_seconds:
                raise ending.error
            await asyncio.sleep(wait_seconds)

    async def _attempt(self, request: Request, *, attempt: int) -> "httpx2.Response | _Setback":
        """Send a request once. Returns its good answer or, where another attempt may bring one, what came instead."""
        try:
            answer = await self._http.request(
                request.method,
                request.path,
                params=list(request.params) or None,
                json=request.body,
                headers=request.headers,
            )
        except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
            return _Setback(error=UnavailableError(f"{self.url} does not answer: {_reason(error)}."), retry_after="")
        except httpx2.HTTPError as error:
            raise UnexpectedAnswerError(f"{self.url} cannot be spoken to: {_reason(error)}.") from error
        self._has_answered = True
        if answer.is_success:
            return answer
        problem = _problem(answer)
        if is_worth_repeating(answer.status_code, code=problem.code, attempt=attempt):
            error = _as_error(problem, status=answer.status_code, kind=UnavailableError)
            return _Setback(error=error, retry_after=answer.headers.get("Retry-After", ""))
        raise _as_error(problem, status=answer.status_code, kind=_kind(answer.status_code))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setback:
    """An attempt that settled nothing, and when the server would like the next."""

    error: UnavailableError
    retry_after: str


def _kind(status: int) -> type[HishabError]:
    if status in {401, 403}:
        return DeniedError
    if 400 <= status < 500:  # noqa: PLR2004 (the class of statuses)
        return RefusedError
    return UnavailableError if status >= 500 else UnexpectedAnswerError  # noqa: PLR2004 (ditto)


def _problem(answer: httpx2.Response) -> Problem:
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        # Not ours: a proxy's page, most likely.
        problem = Problem(detail=f"HTTP {answer.status_code} {answer.reason_phrase}")
    return problem if problem.code else problem.model_copy(update={"code": f"http_{answer.status_code}"})


def _as_error(problem: Problem, *, status: int, kind: type[ErrorKind]) -> ErrorKind:
    parts = [f"{part.pointer} {part.detail}" for part in problem.errors]
    detail = "; ".join([problem.detail or problem.title or problem.code, *parts])
    return kind(detail, code=problem.code, status=status, request_id=problem.request_id)


def _parse(answer: httpx2.Response, shape: type[Shape]) -> Shape:
    try:
        return shape.model_validate_json(answer.content)
    except ValidationError as error:
        where = f"{answer.request.method} {answer.request.url.path}"
        raise UnexpectedAnswerError(
            f"The answer to {where} is not the one in the contract.", status=answer.status_code
        ) from error


def _reason(error: httpx2.HTTPError) -> str:
    return str(error) or type(error).__name__


def _in_parts(
    items: Sequence[Item], *, items_max: int, bytes_max: int, size: Callable[[Item], int]
) -> Iterator[list[Item]]:
    """Yield the items in runs of at most so many, and so many bytes; one that is larger goes alone."""
    part: list[Item] = []
    part_bytes = 0
    for item in items:
        item_bytes = size(item)
        if part and (len(part) == items_max or part_bytes + item_bytes > bytes_max):
            yield part
            part, part_bytes = [], 0
        part.append(item)
        part_bytes += item_bytes
    if part:
        yield part


def _size_in_url(external_id: str) -> int:
    return len("&external_id=") + len(quote(external_id, safe=""))


def _size_in_body(wanted: Mapping[str, str]) -> int:
    return len(json.dumps(wanted)) + len(", ")
