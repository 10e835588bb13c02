"""Sign what webhooks carry. Source: Standard Webhooks 1.0.0, so that any of its libraries can verify us."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

SECRET_BYTES: Final = 32

_PREFIX: Final = "whsec_"
_SCHEME: Final = "v1"


def spell_secret(secret: bytes) -> str:
    """Spell a secret as its owner is shown it: `whsec_` and base64."""
    return _PREFIX + base64.b64encode(secret).decode("ascii")


def sign(body: bytes, *, message_id: str, timestamp_seconds: int, secrets: Sequence[bytes]) -> str:
    """Sign `id.timestamp.body` with each secret, and return the value of `webhook-signature`.

    Args:
        message_id: Has no dots: they part what is signed.
        timestamp_seconds: Of this attempt, since 1970; receivers refuse what is more than five minutes off.
        secrets: Newest first; several while a rotation lasts.
    """
    assert "." not in message_id
    signed = b".".join((message_id.encode("ascii"), str(timestamp_seconds).encode("ascii"), body))
    return " ".join(_signature(signed, secret) for secret in secrets)


def _signature(signed: bytes, secret: bytes) -> str:
    digest = hmac.digest(secret, signed, hashlib.sha256)
    return f"{_SCHEME},{base64.b64encode(digest).decode('ascii')}"
