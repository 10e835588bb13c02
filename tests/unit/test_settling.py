"""Hold the waiting to this: it ends when all are final, asks by the page where it can, and does not wait for ever."""

import asyncio
import io
from collections import Counter
from collections.abc import Collection

import pytest
from rich.console import Console

from hishab.answers import Transfer
from hishab.client import Client
from hishab.errors import UnavailableError
from hishab.progress import Progress
from hishab.settling import settled
from tests.unit.scripted_server import Reply, Script, Seen, serving


def transfer(transfer_id: str, *, final: bool) -> dict[str, object]:
    return {
        "id": transfer_id,
        "status": "succeeded" if final else "queued",
        "amount": 1,
        "currency": "CZK",
        "source_wallet_id": "a",
        "destination_wallet_id": "b",
        "completed_at": "2026-11-22T10:00:00.000000Z" if final else None,
    }


def settle(script: Script, transfer_ids: Collection[str], *, patience_seconds: float = 20) -> dict[str, Transfer]:
    async def settling(url: str) -> dict[str, Transfer]:
        async with Client(url, api_key="sk_test", patience_seconds=patience_seconds) as client:
            return await settled(client, transfer_ids, progress=Progress(Console(file=io.StringIO())))

    with serving(script) as url:
        return asyncio.run(settling(url))


class TestSettled:
    def test_asks_again_for_what_is_still_queued(self) -> None:
        asked: Counter[str] = Counter()

        def script(request: Seen) -> Reply:
            transfer_id = request.path.rpartition("/")[2]
            asked[transfer_id] += 1
            return Reply(body=transfer(transfer_id, final=transfer_id == "t1" or asked[transfer_id] == 3))

        assert settle(script, ["t1", "t2"]).keys() == {"t1", "t2"}
        assert asked == {"t1": 1, "t2": 3}

    def test_asks_for_many_by_the_page_and_one_by_one_for_what_stands_elsewhere(self) -> None:
        asked: list[str] = []

        def script(request: Seen) -> Reply:
            asked.append(request.path.removeprefix("/v1/transfers"))
            if asked[-1].startswith("/"):
                return Reply(body=transfer(asked[-1].removeprefix("/"), final=True))
            page = range(100) if "cursor" not in asked[-1] else range(1_000, 1_100)
            data = [transfer(f"t{number}", final=True) for number in page]
            return Reply(body={"data": data, "has_more": True, "next_cursor": "more"})

        wanted = {f"t{number}" for number in range(120)}
        assert settle(script, wanted).keys() == wanted
        assert sorted(asked) == sorted(["?limit=100", "?limit=100&cursor=more", *(f"/t{n}" for n in range(100, 120))])

    def test_gives_up_when_nothing_moves_any_more(self) -> None:
        def script(request: Seen) -> Reply:
            return Reply(body=transfer(request.path.rpartition("/")[2], final=False))

        with pytest.raises(UnavailableError, match="2 transfers are accepted and safe"):
            settle(script, ["t1", "t2"], patience_seconds=0.5)
