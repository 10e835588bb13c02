"""Send one webhook: sign it, post it, and read as much of the answer as is of use."""

from functools import lru_cache, partial
from importlib.metadata import version
from typing import Final

import aiohttp
from yarl import URL

from shared import clock
from shared.database.claims import ClaimedDelivery
from shared.domain import webhook_url
from shared.domain.attempt import Answer, AttemptError
from shared.domain.retry import parse_retry_after
from shared.domain.signature import sign
from shared.identifiers import event_name
from shared.secrets_at_rest import SecretsAtRest
from worker.webhooks.guard import BlockedAddressError, Guard, connector

# Source of the four: webhooks.md, section Delivery.
SEND_SECONDS_MAX: Final = 15.0
CONNECT_SECONDS_MAX: Final = 5.0
ANSWER_BYTES_MAX: Final = 4_096
EXCERPT_BYTES_MAX: Final = 2_048

KEPT_MAX: Final = 1_000
"""Endpoints whose secrets and URLs are at hand."""

USER_AGENT: Final = f"Hishab-Webhooks/{version('hishab')}"


def new_session(guard: Guard, *, send_seconds_max: float = SEND_SECONDS_MAX) -> aiohttp.ClientSession:
    """Make the client that all sends share: no cookies, no proxy from the environment, nothing unpacked."""
    return aiohttp.ClientSession(
        connector=connector(guard),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=send_seconds_max, connect=min(CONNECT_SECONDS_MAX, send_seconds_max)),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=ANSWER_BYTES_MAX,
        headers={
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        },
    )


class Sender:
    """Sends deliveries and reports what came of each; it neither reads nor writes the database."""

    def __init__(self, session: aiohttp.ClientSession, *, secrets: SecretsAtRest, https_only: bool) -> None:
        """Take the client that connects to allowed addresses only."""
        self._session = session
        # Kept: decrypting a secret, and looking at a URL, cost more than all else that is done for a send.
        self._secret = lru_cache(maxsize=KEPT_MAX)(secrets.decrypt)
        self._url = lru_cache(maxsize=KEPT_MAX)(partial(_allowed, https_only=https_only))

    async def send(self, delivery: ClaimedDelivery) -> Answer:
        """Send a delivery once.

        Raises:
            SecretUnreadable: There is nothing to sign it with.
        """
        url = self._url(delivery.url)
        if url is None:
            return Answer(error=AttemptError.URL_NOT_ALLOWED)
        try:
            return await self._post(delivery, url=url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(error=_trouble(error))

    async def _post(self, delivery: ClaimedDelivery, *, url: URL) -> Answer:
        async with self._session.post(
            url, data=delivery.body, headers=self._signed(delivery), allow_redirects=False
        ) as response:
            return Answer(
                http_status=response.status,
                excerpt=await _read_excerpt(response),
                retry_after_seconds=parse_retry_after(response.headers.get("Retry-After"), now=clock.now()),
            )

    def _signed(self, delivery: ClaimedDelivery) -> dict[str, str]:
        message_id = event_name(delivery.event_id)
        timestamp_seconds = int(clock.now().timestamp())
        encrypted = (delivery.secret_encrypted, delivery.old_secret_encrypted)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp_seconds),
            "webhook-signature": sign(
                delivery.body,
                message_id=message_id,
                timestamp_seconds=timestamp_seconds,
                secrets=[self._secret(secret) for secret in encrypted if secret is not None],
            ),
        }


def _allowed(url: str, *, https_only: bool) -> URL | None:
    return None if webhook_url.problem(url, https_only=https_only) else URL(url)


async def _read_excerpt(response: aiohttp.ClientResponse) -> str:
    """Read the beginning of an answer; one that goes on after it costs the connection."""
    start = bytearray()
    try:
        while len(start) < ANSWER_BYTES_MAX and (some := await response.content.read(ANSWER_BYTES_MAX - len(start))):
            start += some
    except (aiohttp.ClientError, TimeoutError, OSError):
        # The status has been said, and it alone decides.
        response.close()
    text = start[:EXCERPT_BYTES_MAX].decode("utf-8", errors="ignore")
    # PostgreSQL's text cannot hold them.
    return text.replace("\0", "")


# The first that fits. An invalid URL, beside real nonsense (refused at registration), is a number that is another way
# to write an address.
_TROUBLES: Final = (
    (TimeoutError, AttemptError.TIMEOUT),
    (aiohttp.InvalidURL, AttemptError.BLOCKED_ADDRESS),
    (aiohttp.ClientConnectorDNSError, AttemptError.HOST_UNKNOWN),
    (aiohttp.ClientSSLError, AttemptError.TLS_FAILED),
    (aiohttp.ClientResponseError, AttemptError.ANSWER_INVALID),
)


def _trouble(error: Exception) -> AttemptError:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, BlockedAddressError):
        return AttemptError.BLOCKED_ADDRESS
    for kind, trouble in _TROUBLES:
        if isinstance(error, kind):
            return trouble
    return AttemptError.CONNECTION_FAILED
