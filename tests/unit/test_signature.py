"""Does what we sign verify with the reference library, and nothing else?"""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared import clock
from shared.domain.signature import sign, spell_secret

SECRET = bytes(range(32))


def now_seconds() -> int:
    return int(clock.now().timestamp())


def headers(body: bytes, *secrets: bytes, message_id: str = "evt_1") -> dict[str, str]:
    seconds = now_seconds()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": sign(body, message_id=message_id, timestamp_seconds=seconds, secrets=secrets),
    }


@given(text=st.text(), secret=st.binary(min_size=32, max_size=32))
def test_verifies_with_the_reference_library(text: str, secret: bytes) -> None:
    body = text.encode("utf-8", errors="ignore")
    Webhook(spell_secret(secret)).verify(body, headers(body, secret), json_parse=False)


def test_the_vector_that_the_reference_libraries_share() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(
        b'{"test": 2432232314}',
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_seconds=1_614_265_330,
        secrets=[secret],
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("which", [0, 1])
def test_during_a_rotation_both_secrets_verify(which: int) -> None:
    secrets = (b"n" * 32, b"o" * 32)
    Webhook(spell_secret(secrets[which])).verify(b"{}", headers(b"{}", *secrets))


@pytest.mark.parametrize(
    "tampered",
    [{"webhook-id": "evt_2"}, {"webhook-timestamp": str(now_seconds() - 2)}, {"webhook-signature": "v1,AAAA"}],
)
def test_does_not_verify_once_it_was_tampered_with(tampered: dict[str, str]) -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(spell_secret(SECRET)).verify(b"{}", {**headers(b"{}", SECRET), **tampered})


def test_does_not_verify_with_another_body() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(spell_secret(SECRET)).verify(b"[]", headers(b"{}", SECRET))
