"""Receive webhooks: find out that one is from your Hishab, and of now, before you believe a word of it."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from hishab.answers import Event
from hishab.errors import UntrustedWebhookError

TOLERANCE = timedelta(minutes=5)
"""A replayed request is not older than this, and clocks differ by less. Source: Standard Webhooks 1.0.0."""

_SECRET_PREFIX = "whsec_"  # noqa: S105 (the prefix of every one)
_TIMESTAMP = re.compile(r"[0-9]{1,11}")


def verify_webhook(
    body: bytes, *, headers: Mapping[str, str], secrets: str | Sequence[str], now: datetime | None = None
) -> Event:
    """Return the event that a request carries, once its signature is known to be good (Standard Webhooks 1.0.0).

    The same event may come several times, and late: insert its `id` into a table of its own, where it is unique, and
    apply a transfer only if its `version` is higher than the one you know.

    Args:
        body: The raw bytes, as they came: parsed and spelled again they are others.
        headers: In any case.
        secrets: `whsec_…`, of this endpoint; several while you change from one to another.
        now: The time, if it is not the clock's.

    Raises:
        UntrustedWebhookError: Do nothing, and answer 400.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, timestamp, signatures = (sent[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise UntrustedWebhookError(f"There is no header {error}.", code="webhook_header_missing") from None
    if not _TIMESTAMP.fullmatch(timestamp):
        raise UntrustedWebhookError("Its timestamp is none.", code="webhook_timestamp_invalid")
    signed = b".".join((event_id.encode(errors="replace"), timestamp.encode("ascii"), body))
    given = [signature.encode(errors="replace") for signature in signatures.split(" ")]
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not any(hmac.compare_digest(_signature(signed, key), signature) for key in keys for signature in given):
        raise UntrustedWebhookError("It is not signed with your secret.", code="webhook_signature_invalid")
    # The receiver's process has no other clock.
    now = now or datetime.now(UTC)  # noqa: TID251
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        raise UntrustedWebhookError("It was sent long ago, or your clock is wrong.", code="webhook_timestamp_old")
    try:
        return Event.model_validate_json(body)
    except ValidationError as error:
        raise UntrustedWebhookError("It is signed, but carries no event.", code="webhook_malformed") from error


def _key(secret: str) -> bytes:
    """Return the bytes of a secret.

    Raises:
        ValueError: It is none: yours is wrong, whatever was sent.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("A webhook secret is whsec_ and base64.")
    return key


def _signature(signed: bytes, key: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
