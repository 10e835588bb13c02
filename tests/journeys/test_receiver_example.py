"""Does the receiver in docs/receive-webhooks.md do what it says? It is taken from there and run."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Final

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from hishab.ports import LOOPBACK, free_ports
from shared import clock
from tests.callers import Person, ended, pay
from tests.eventually import eventually
from tests.journeys.test_webhooks import ENDPOINTS, listen

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "receive-webhooks.md"
LINES_MAX: Final = 30


class Running:
    """The example, which keeps what it is told in a file."""

    def __init__(self, place: Path, port: int) -> None:
        self.place, self.url = place, f"http://127.0.0.1:{port}/hooks"
        self._database = place / "receiver.db"
        self._port = port

    def start(self, secret: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "WEBHOOK_SECRET": secret, "DATABASE": str(self._database)}
        serve = [sys.executable, "-m", "uvicorn", "receiver:app", "--port", str(self._port), "--log-level", "warning"]
        return subprocess.Popen(serve, cwd=self.place, env=environment)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self._port)) == 0

    def transfers(self) -> list[tuple[str, str, int]]:
        """What it knows."""
        with closing(sqlite3.connect(self._database)) as db:
            # It makes its tables one by one, as it starts.
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'transfers'").fetchall():
                return []
            return db.execute("SELECT id, status, version FROM transfers").fetchall()


@pytest.fixture
def example(tmp_path: Path) -> Running:
    (code,) = re.findall(r"```python receiver.py\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) <= LINES_MAX
    (tmp_path / "receiver.py").write_text(code, encoding="utf-8")
    (port,) = free_ports(LOOPBACK)
    return Running(tmp_path, port)


def test_applies_each_event_once_and_none_that_is_older(payer: Person, payee: Person, example: Running) -> None:
    endpoint = listen(payer, example.url)
    with example.start(endpoint["secret"]) as process:
        try:
            # Or the first attempt finds nobody, and the next one but one comes in five minutes.
            eventually(example.listens)
            transfer = pay(payer.http, to=payee.wallet_id, amount=7, key=token_hex(8)).json()
            ended(payer.http, transfer["id"])
            address = f"{ENDPOINTS}/{endpoint['id']}"
            eventually(lambda: example.transfers() == [(transfer["id"], "succeeded", 2)])
            # What is still being sent, as far as the sender knows, is not sent again.
            delivered = {"status": "delivered"}
            (delivery,) = eventually(lambda: payer.http.get(f"{address}/deliveries", params=delivered).json()["data"])
            payer.http.post(f"{address}/deliveries/{delivery['id']}/resend").raise_for_status()
            eventually(lambda: payer.http.get(f"{address}/deliveries/{delivery['id']}").json()["attempt_count"] == 2)

            older = {"type": "transfer.queued", "data": {"id": transfer["id"], "status": "queued", "version": 1}}
            assert _post(example, older, secret=endpoint["secret"]) == 204
            unknown = {"type": "moon.risen", "data": None}
            assert _post(example, unknown, secret=endpoint["secret"]) == 204
            forged = {"type": "transfer.failed", "data": {"id": transfer["id"], "status": "failed", "version": 3}}
            assert _post(example, forged, secret="whsec_" + "A" * 43 + "=") == 400
            assert _post(example, forged, secret=endpoint["secret"], age=timedelta(minutes=6)) == 400
            assert example.transfers() == [(transfer["id"], "succeeded", 2)]
        finally:
            process.terminate()


def _post(example: Running, event: object, *, secret: str, age: timedelta = timedelta()) -> int:
    body, message_id, at = json.dumps(event), f"evt_{token_hex(16)}", clock.now() - age
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body),
    }
    return httpx2.post(example.url, content=body, headers=headers, timeout=60, trust_env=False).status_code
