"""Speak to a Hishab over HTTP: typed calls that are repeated until their outcome is known.

Whoever moves money stores the idempotency key before the call, and after a crash calls again with the same key.
`docs/write-a-client.md` shows how.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from hishab import following, lists
from hishab.answers import (
    Audit,
    Batch,
    Currency,
    Entry,
    Event,
    OpenedWallet,
    OpenedWallets,
    Page,
    StandingBatch,
    Transfer,
    Wallet,
)
from hishab.credentials import Credentials
from hishab.endpoints import Endpoints
from hishab.errors import HishabError, RefusedError, UnexpectedAnswerError
from hishab.in_parts import in_parts
from hishab.lists import PAGE_LIMIT, Params
from hishab.new_transfer import NewTransfer
from hishab.operations import Operations
from hishab.sending import Request, Sender, parse

CONNECTIONS_MAX = 64
PATIENCE_SECONDS = 600.0
"""A machine that is rebooted or moved is back within ten minutes. Source: decision."""

FIRST_ANSWER_SECONDS = 10.0
"""Whoever has never answered is rather absent than restarting; `hishab up` is ready within this. Source: issue 2."""

NOT_FOUND = 404

EXTERNAL_IDS_MAX = 100
URL_BYTES_MAX = 6_000
"""Below the 8 kB that common proxies take. Source: nginx, `large_client_header_buffers`."""

WALLETS_MAX = 1_000
BODY_BYTES_MAX = 60_000
"""Below the 64 kB that the server takes."""

KEY_BYTES = 16
"""As many as a UUID has: no two are ever the same."""

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A transfer that the server has taken on; `replayed` if it had done so before, under the same key."""

    transfer: Transfer
    idempotency_key: str
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAcceptance:
    """Transfers that the server has taken on together; `replayed` if it had done so before, under the same key."""

    batch: Batch
    idempotency_key: str
    replayed: bool


class Client:
    """A caller's connection to one Hishab. An asynchronous context manager; `Blocking` is for those who do not await.

    Every call raises, beyond what it names itself:
        RefusedError: The server said no (a 4xx).
        DeniedError: The key or the log-in is not good enough (401, 403).
        UnavailableError: No answer that settles it within `patience_seconds`; the outcome may be unknown.
        UnexpectedAnswerError: The answer is not in the contract.

    Args:
        url: Where the API listens, like `http://127.0.0.1:8000`.
        api_key: `sk_…`. People have an email and a PIN instead: `Client.log_in`.
        patience_seconds: How long one call may take with all its repetitions.
        first_answer_seconds: The same for as long as there has not been any answer.
        connections_max: How many requests may be under way at once; more wait their turn.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str = "",
        credentials: Credentials | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        first_answer_seconds: float = FIRST_ANSWER_SECONDS,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self.url = url
        self.patience_seconds = patience_seconds
        self.connections_max = connections_max
        self._sender = Sender(
            url,
            credentials=credentials or Credentials(bearer=api_key),
            patience_seconds=patience_seconds,
            first_answer_seconds=first_answer_seconds,
            connections_max=connections_max,
        )

    @classmethod
    def log_in(cls, url: str, *, email: str, pin: str, patience_seconds: float = PATIENCE_SECONDS) -> Self:
        """Return a client that logs in with its first call, and renews its tokens by itself.

        A wrong PIN is a DeniedError of that call, `invalid_grant`. The PIN is not kept once it has been taken.
        """
        return cls(url, credentials=Credentials.log_in(email=email, pin=pin), patience_seconds=patience_seconds)

    @property
    def endpoints(self) -> Endpoints:
        """Return what webhook endpoints can be asked for."""
        return Endpoints(self._sender)

    @property
    def operations(self) -> Operations:
        """Return what operators alone can ask for."""
        return Operations(self._sender)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._sender.close()

    async def submit(self, transfer: NewTransfer, *, idempotency_key: str | None = None) -> Acceptance:
        """Have a transfer accepted: once, however often this is called with the same key.

        Args:
            idempotency_key: 1-255 visible ASCII characters that stand for this one payment. Made if you have none, and
                then told by the answer or the error: whoever crashes in between does not know it.
        """
        return await self._submit(transfer, idempotency_key=idempotency_key or new_idempotency_key())

    async def submit_and_wait(
        self, transfer: NewTransfer, *, idempotency_key: str | None = None, seconds_max: float = PATIENCE_SECONDS
    ) -> Transfer:
        """Return a transfer once it has ended: succeeded, or failed with `failure_code`, which is no error here.

        Raises:
            NotFinalError: It was accepted, but had not ended in so many seconds.
        """
        key = idempotency_key or new_idempotency_key()
        clock = asyncio.get_running_loop()
        deadline = clock.time() + seconds_max
        accepted = await self._submit(transfer, idempotency_key=key, wait_seconds=seconds_max)
        if accepted.transfer.is_terminal:
            return accepted.transfer
        try:
            return await self.wait(accepted.transfer.id, seconds_max=deadline - clock.time())
        except HishabError as error:
            error.idempotency_key, error.outcome_unknown = key, True
            raise

    async def submit_batch(
        self, transfers: Sequence[NewTransfer], *, idempotency_key: str | None = None
    ) -> BatchAcceptance:
        """Have up to 1,000 transfers accepted: all of them or, with a fault in one, none.

        Args:
            idempotency_key: As for `submit`; one for all of them.

        Raises:
            RefusedError: `errors` points at each that is wrong, as in `/transfers/3/amount`.
        """
        key = idempotency_key or new_idempotency_key()
        body = {"transfers": [transfer.body() for transfer in transfers]}
        request = Request(method="POST", path="/v1/transfer-batches", body=body, idempotency_key=key)
        answer = await self._sender.send(request)
        return BatchAcceptance(batch=parse(answer, Batch), idempotency_key=key, replayed=_is_replay(answer.headers))

    async def wait(self, transfer_id: str, *, seconds_max: float = PATIENCE_SECONDS) -> Transfer:
        """Return a transfer once it has ended; through restarts of the server, too.

        Raises:
            NotFinalError: It had not, in so many seconds.
        """
        path = f"/v1/transfers/{transfer_id}"
        return await following.wait(self._sender, path, Transfer, seconds_max=seconds_max, only_for_news=True)

    async def wait_for_batch(self, batch_id: str, *, seconds_max: float = PATIENCE_SECONDS) -> StandingBatch:
        """Return how a batch stands once all of its transfers have ended; through restarts of the server, too.

        Raises:
            NotFinalError: They had not, in so many seconds.
        """
        path = f"/v1/transfer-batches/{batch_id}"
        return await following.wait(self._sender, path, StandingBatch, seconds_max=seconds_max, only_for_news=False)

    def stream(self, transfer_id: str) -> AsyncGenerator[Event]:
        """Yield each change of a transfer once, from how it stands to its end; through restarts of the server, too."""
        return following.stream(self._sender, transfer_id, patience_seconds=self.patience_seconds)

    def iterate_transfers(
        self, *, status: str | None = None, reference: str | None = None, wallet_id: str | None = None
    ) -> AsyncGenerator[Transfer]:
        """Yield what you sent and received, newest first, over all pages."""
        wanted = {"status": status, "reference": reference, "wallet_id": wallet_id}
        params = [(name, value) for name, value in wanted.items() if value is not None]
        return lists.items(self._sender, "/v1/transfers", Page[Transfer], params=params)

    def iterate_entries(self, wallet_id: str) -> AsyncGenerator[Entry]:
        """Yield the movements on a wallet of yours, newest first, over all pages."""
        return lists.items(self._sender, f"/v1/wallets/{wallet_id}/entries", Page[Entry])

    def iterate_batch(self, batch_id: str) -> AsyncGenerator[Transfer]:
        """Yield the transfers of a batch as they stand now, in the order they were sent, over all pages."""
        return lists.items(self._sender, f"/v1/transfer-batches/{batch_id}/transfers", Page[Transfer])

    def iterate_event_pages(
        self, *, types: Sequence[str] = (), after: str | None = None
    ) -> AsyncGenerator[Page[Event]]:
        """Yield what happened to your transfers, oldest first, page by page up to now: what webhooks tell.

        Act on a page, then store its `next_cursor`, and come back with it: no event is ever skipped.

        Args:
            types: As in `transfer.succeeded`; all if none is named.
            after: The `next_cursor` of the last page you acted on.
        """
        params = [("types", kind) for kind in types]
        return lists.pages(self._sender, "/v1/events", Page[Event], params=params, begins_at=after, behind="after")

    async def currencies(self) -> list[Currency]:
        """Return every currency."""
        return (await self._read("/v1/currencies", Page[Currency])).data

    async def issuance_wallet(self, currency: str) -> Wallet:
        """Return the wallet that a currency's money comes out of. For operators."""
        page = await self._read("/v1/wallets", Page[Wallet], params=[("kind", "issuance"), ("currency", currency)])
        if not page.data:
            raise RefusedError(f"{currency} has no issuance wallet that this key may use.", code="wallet_not_found")
        return page.data[0]

    async def find_wallet(self, wallet_id: str) -> Wallet | None:
        """Return one wallet, None if the caller has no such one."""
        return await self._find(f"/v1/wallets/{wallet_id}", Wallet)

    async def wallets(self, external_ids: Sequence[str]) -> list[Wallet]:
        """Return those of the caller's wallets that bear one of these names, in no particular order."""
        found: list[Wallet] = []
        for names in in_parts(external_ids, items_max=EXTERNAL_IDS_MAX, bytes_max=URL_BYTES_MAX, size=_size_in_url):
            params = [PAGE_LIMIT, *(("external_id", name) for name in names)]
            found += (await self._read("/v1/wallets", Page[Wallet], params=params)).data
        return found

    async def open_wallets(self, wanted: Sequence[Mapping[str, str]]) -> list[OpenedWallet]:
        """Make the wallets that are not there yet; return what became of each, in order. For operators.

        Args:
            wanted: `currency` and `external_id` of each.
        """
        opened: list[OpenedWallet] = []
        for part in in_parts(wanted, items_max=WALLETS_MAX, bytes_max=BODY_BYTES_MAX, size=_size_in_body):
            answer = await self._sender.send(Request(method="POST", path="/v1/wallets", body=part))
            items = parse(answer, OpenedWallets).data
            if len(items) != len(part):
                raise UnexpectedAnswerError(
                    f"{self.url} answered {len(items)} wallets where {len(part)} were asked for."
                )
            opened += items
        return opened

    async def find_transfer(self, transfer_id: str) -> Transfer | None:
        """Return one transfer as it is now, None if the caller has no part in such a one."""
        return await self._find(f"/v1/transfers/{transfer_id}", Transfer)

    async def find_transfer_by_key(self, idempotency_key: str) -> Transfer | None:
        """Return the caller's transfer that was accepted under a key, if there is one."""
        page = await self._read("/v1/transfers", Page[Transfer], params=[("idempotency_key", idempotency_key)])
        return page.data[0] if page.data else None

    async def transfer_page(self, *, cursor: str | None = None) -> Page[Transfer]:
        """Return a page of the caller's transfers, newest first: the first one, or that which a cursor leads to."""
        place = [] if cursor is None else [("cursor", cursor)]
        return await self._read("/v1/transfers", Page[Transfer], params=[PAGE_LIMIT, *place])

    async def request_audit(self) -> Audit:
        """Ask for a check of the whole ledger. For operators."""
        return parse(await self._sender.send(Request(method="POST", path="/v1/system/audits")), Audit)

    async def audit(self, audit_id: str) -> Audit:
        """Return how far a check has come. For operators."""
        return await self._read(f"/v1/system/audits/{audit_id}", Audit)

    async def _submit(
        self, transfer: NewTransfer, *, idempotency_key: str, wait_seconds: float | None = None
    ) -> Acceptance:
        request = Request(
            method="POST",
            path="/v1/transfers",
            body=transfer.body(),
            headers={} if wait_seconds is None else {"Prefer": following.prefer_wait(wait_seconds)},
            idempotency_key=idempotency_key,
        )
        answer = await self._sender.send(request)
        return Acceptance(
            transfer=parse(answer, Transfer), idempotency_key=idempotency_key, replayed=_is_replay(answer.headers)
        )

    async def _read(self, path: str, shape: type[Shape], *, params: Params = ()) -> Shape:
        return parse(await self._sender.send(Request(path=path, params=params)), shape)

    async def _find(self, path: str, shape: type[Shape]) -> Shape | None:
        try:
            return await self._read(path, shape)
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise
            return None


def new_idempotency_key() -> str:
    """Make a key for a new transfer or batch. Store it before you send."""
    return secrets.token_hex(KEY_BYTES)


def _is_replay(headers: Mapping[str, str]) -> bool:
    return headers.get("Idempotent-Replayed") == "true"


def _size_in_url(external_id: str) -> int:
    return len("&external_id=") + len(quote(external_id, safe=""))


def _size_in_body(wanted: Mapping[str, str]) -> int:
    return len(json.dumps(wanted)) + len(", ")
