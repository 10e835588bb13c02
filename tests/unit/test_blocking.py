"""Hold the client of those who do not await to this: each call is the client's own, from any thread, and it ends."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hishab.blocking import Blocking
from hishab.client import Client
from hishab.errors import RefusedError
from tests.unit.asking import ACCEPTED, NEW, TRANSFER, one_after_the_other, problem
from tests.unit.scripted_server import Reply, Seen, serving


def test_returns_what_a_call_returns() -> None:
    script, _ = one_after_the_other(ACCEPTED)
    with serving(script) as url:
        client = Client(url, api_key="sk_test")
        with Blocking(client) as run, ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(lambda: run(client.submit(NEW))) for _ in range(20)]
            assert {future.result().transfer.id for future in asked} == {"t1"}


def test_raises_what_a_call_raises() -> None:
    script, _ = one_after_the_other(problem(422, "same_wallet"))
    with serving(script) as url:
        client = Client(url, api_key="sk_test")
        with Blocking(client) as run, pytest.raises(RefusedError):
            run(client.submit(NEW))


def test_yields_what_a_list_yields_for_as_long_as_one_likes() -> None:
    asked: list[str] = []

    def script(request: Seen) -> Reply:
        asked.append(request.path)
        data = [TRANSFER | {"id": f"t{len(asked)}-{number}"} for number in range(3)]
        return Reply(body={"data": data, "has_more": True, "next_cursor": f"c{len(asked)}"})

    with serving(script) as url:
        client = Client(url, api_key="sk_test")
        with Blocking(client) as run:
            for transfer in run.each(client.iterate_transfers(status="queued")):
                if transfer.id == "t3-0":
                    break
    assert asked == [f"/v1/transfers?status=queued&limit=100{more}" for more in ("", "&cursor=c1", "&cursor=c2")]


def test_leaves_no_thread_behind() -> None:
    script, _ = one_after_the_other(ACCEPTED)
    with serving(script) as url:
        client = Client(url, api_key="sk_test")
        with Blocking(client) as run:
            run(client.submit(NEW))
            assert "hishab-client" in {thread.name for thread in threading.enumerate()}
        assert "hishab-client" not in {thread.name for thread in threading.enumerate()}
