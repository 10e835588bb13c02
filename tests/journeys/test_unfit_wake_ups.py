"""A worker leaves what is no wake-up alone, and goes on: whoever can write to the broker cannot stop a lane."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import pytest
import redis

from shared.queue import APPLY_TASK, DELIVER_TASK, KEY_PREFIX, LANES_QUEUE, WEBHOOKS_QUEUE, celery_app
from tests.callers import ended, pay, signed_up
from tests.eventually import eventually
from tests.running_system import System

NONSENSE = ["", "no JSON", "[]", "{}", "7", "null", "\0", '{"body": "e30=", "headers": {}}', '{"properties": []}']
UNFIT: list[Mapping[str, Any]] = [
    {},
    {"version": 1},
    {"version": "1", "lane": 1},
    {"version": 1, "lane": "one"},
    {"version": 1, "lane": -1},
    {"version": 1, "lane": 10**9},
    {"version": 1, "lane": 63},
]


@pytest.mark.parametrize(
    ("queue", "task", "part"), [(LANES_QUEUE, APPLY_TASK, "lanes"), (WEBHOOKS_QUEUE, DELIVER_TASK, "webhooks")]
)
def test_a_worker_goes_on_after_what_is_no_wake_up(system: System, *, queue: str, task: str, part: str) -> None:
    before = system.await_age(part)
    broker: Any = redis.Redis.from_url(system.broker_url)  # pyright: ignore[reportUnknownMemberType] (no types)
    app: Any = celery_app(system.broker_url, socket_timeout_seconds=60)
    with signed_up(system) as payer, signed_up(system) as payee:
        for nonsense in NONSENSE:
            broker.lpush(f"{KEY_PREFIX}{queue}", nonsense)
        for unfit in UNFIT:
            app.send_task(task, kwargs=dict(unfit), queue=queue, retry=False)
        app.send_task("somebody.elses", queue=queue, retry=False)
        answer = pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8))
        assert ended(payer.http, answer.json()["id"])["status"] == "succeeded"
    eventually(lambda: not broker.exists(f"{KEY_PREFIX}{queue}"), seconds_max=60)
    assert system.parts[part] == before
    broker.close()
