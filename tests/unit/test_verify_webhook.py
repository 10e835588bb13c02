"""Hold the check of webhooks to Standard Webhooks, with its reference library on the other side."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from hishab.errors import UntrustedWebhookError
from hishab.webhooks import verify_webhook
from tests.unit.asking import ENDED

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
OLD, NEW = (f"whsec_{b64encode(bytes([number]) * 32).decode()}" for number in (1, 2))
BODY = json.dumps({"type": "transfer.succeeded", "id": "evt_1", "timestamp": "…", "data": ENDED, "mood": 1}).encode()


def signed(body: bytes = BODY, *, secret: str = OLD, at: datetime = NOW) -> dict[str, str]:
    """Sign as the reference library does."""
    signature = Webhook(secret).sign(msg_id="evt_1", timestamp=at, data=body.decode())
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def refusal(body: bytes = BODY, *, headers: dict[str, str], now: datetime = NOW) -> str:
    with pytest.raises(UntrustedWebhookError) as caught:
        verify_webhook(body, headers=headers, secrets=OLD, now=now)
    return caught.value.code


class TestTakes:
    def test_what_the_reference_library_signed(self) -> None:
        event = verify_webhook(BODY, headers=signed(), secrets=OLD, now=NOW)
        assert (event.id, event.type) == ("evt_1", "transfer.succeeded")
        assert event.transfer
        assert event.transfer.status == "succeeded"

    @given(text=st.text())
    def test_any_body_that_it_signed(self, text: str) -> None:
        body = json.dumps({"type": "x.y", "data": {"text": text}}, ensure_ascii=False).encode(errors="replace")
        assert verify_webhook(body, headers=signed(body), secrets=OLD, now=NOW).transfer is None

    def test_headers_in_any_case(self) -> None:
        headers = {name.title(): value for name, value in signed().items()}
        assert verify_webhook(BODY, headers=headers, secrets=OLD, now=NOW).id == "evt_1"

    def test_either_secret_while_you_change_them(self) -> None:
        for secret in (OLD, NEW):
            assert verify_webhook(BODY, headers=signed(secret=secret), secrets=[NEW, OLD], now=NOW).id == "evt_1"

    def test_either_signature_while_the_sender_changes_them(self) -> None:
        both = f"v1a,eA== {signed(secret=NEW)['webhook-signature']} {signed()['webhook-signature']}"
        headers = signed() | {"webhook-signature": both}
        assert verify_webhook(BODY, headers=headers, secrets=OLD, now=NOW).id == "evt_1"

    @pytest.mark.parametrize("seconds", [-300, 300])
    def test_what_is_five_minutes_off(self, seconds: int) -> None:
        now = NOW + timedelta(seconds=seconds)
        assert verify_webhook(BODY, headers=signed(), secrets=OLD, now=now).id == "evt_1"

    def test_by_the_clock_if_it_is_told_no_time(self) -> None:
        with pytest.raises(UntrustedWebhookError, match="long ago"):
            verify_webhook(BODY, headers=signed(at=NOW - timedelta(days=9_999)), secrets=OLD)

    def test_an_event_it_has_never_heard_of(self) -> None:
        body = json.dumps({"type": "moon.full", "id": "evt_1", "data": {"phase": 4}}).encode()
        event = verify_webhook(body, headers=signed(body), secrets=OLD, now=NOW)
        assert (event.type, event.transfer, event.data) == ("moon.full", None, {"phase": 4})


class TestRefuses:
    def test_another_body(self) -> None:
        assert (
            refusal(BODY.replace(b'"amount": 100', b'"amount": 900'), headers=signed()) == "webhook_signature_invalid"
        )
        assert refusal(json.dumps(json.loads(BODY), indent=1).encode(), headers=signed()) == "webhook_signature_invalid"

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_one_without_its_headers(self, name: str) -> None:
        headers = signed()
        del headers[name]
        assert refusal(headers=headers) == "webhook_header_missing"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("webhook-id", "evt_2"),
            ("webhook-id", "évt_1"),
            ("webhook-timestamp", str(int(NOW.timestamp()) + 1)),
            ("webhook-signature", ""),
            ("webhook-signature", "v1,"),
            ("webhook-signature", "v1"),
            ("webhook-signature", "é \udcff v2,x"),
            ("webhook-signature", signed(secret=NEW)["webhook-signature"]),
            ("webhook-signature", signed()["webhook-signature"].replace("v1,", "v2,")),
        ],
    )
    def test_one_whose_headers_were_changed(self, name: str, value: str) -> None:
        assert refusal(headers=signed() | {name: value}) == "webhook_signature_invalid"

    @pytest.mark.parametrize("timestamp", ["", "-1", "1e9", "٣", "9" * 5_000, "now"])
    def test_a_time_that_is_none(self, timestamp: str) -> None:
        assert refusal(headers=signed() | {"webhook-timestamp": timestamp}) == "webhook_timestamp_invalid"

    @pytest.mark.parametrize("seconds", [-301, 301])
    def test_one_that_was_sent_at_another_time(self, seconds: int) -> None:
        assert refusal(headers=signed(), now=NOW + timedelta(seconds=seconds)) == "webhook_timestamp_old"

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"nonsense"])
    def test_what_is_signed_but_no_event(self, body: bytes) -> None:
        assert refusal(body, headers=signed(body)) == "webhook_malformed"

    @pytest.mark.parametrize("secret", ["", "whsec_", "whsec_§", "plain words"])
    def test_to_work_without_a_secret(self, secret: str) -> None:
        with pytest.raises(ValueError, match="secret"):
            verify_webhook(BODY, headers=signed(), secrets=secret, now=NOW)
