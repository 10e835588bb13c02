"""Which addresses may webhooks reach, and what happens with the others?"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.receiver import receiving
from worker.webhooks.guard import BlockedAddressError, Guard, GuardedResolver, connector, look_up

LookUp = Callable[[str, int, int], list[tuple[Any, ...]]]

LOOPBACK = ("127.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 (an address to refuse, not to bind)
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_blocks(address: str) -> None:
    assert not Guard(()).allows(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "172.32.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_allows_what_is_public(address: str) -> None:
    assert Guard(()).allows(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_allows_what_is_named(address: str) -> None:
    assert Guard(LOOPBACK).allows(address)
    assert not Guard(("10.0.0.0/8",)).allows(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "①②⑦.⓪.⓪.①",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ],
)
def test_a_blocked_host_sees_no_connection(host: str) -> None:
    with receiving() as receiver:
        error = asyncio.run(_post(f"http://{host}:{receiver.port}/", guard=Guard(())))
        assert receiver.connections == 0
    assert isinstance(error, aiohttp.InvalidURL) or (
        isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, BlockedAddressError)
    )


def test_an_allowed_host_is_connected_to_by_its_name() -> None:
    with receiving() as receiver:
        assert asyncio.run(_post(f"http://localhost:{receiver.port}/", guard=Guard(LOOPBACK))) is None
        (request,) = receiver.received
    assert request.headers["host"] == f"localhost:{receiver.port}"


def test_a_name_server_that_hangs_keeps_no_process_from_ending() -> None:
    program = (
        "import asyncio, threading\n"
        "from worker.webhooks.guard import Guard, GuardedResolver\n"
        "async def main():\n"
        "    resolver = GuardedResolver(Guard(()), lambda *_: threading.Event().wait())\n"
        "    lookups = [asyncio.create_task(resolver.resolve('slow.example', 443)) for _ in range(3)]\n"
        "    await asyncio.wait(lookups, timeout=0.2)\n"
        "    await resolver.close()\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..example"])
def test_a_name_that_cannot_be_spelt_is_unknown(host: str) -> None:
    with pytest.raises(OSError, match=r".*"):
        asyncio.run(GuardedResolver(Guard(()), look_up).resolve(host, 443))


class TestRebinding:
    def test_a_name_that_turns_to_loopback_is_refused_when_it_does(self) -> None:
        """Public at the first look, loopback at the second: what was looked at is what is connected to."""
        answers = iter(["8.8.8.8", "127.0.0.1"])
        resolver = GuardedResolver(Guard(()), lambda _host, port, _family: _answer(next(answers), port=port))
        first = asyncio.run(_resolve(resolver))
        assert [result["host"] for result in first] == ["8.8.8.8"]
        with pytest.raises(BlockedAddressError):
            asyncio.run(_resolve(resolver))

    def test_a_name_that_answers_both_ways_is_refused(self) -> None:
        with receiving() as receiver:
            error = asyncio.run(
                _post(
                    f"http://twofaced.example:{receiver.port}/",
                    guard=Guard(()),
                    look_up=lambda _host, port, _family: [
                        *_answer("8.8.8.8", port=port),
                        *_answer("127.0.0.1", port=port),
                    ],
                )
            )
            assert receiver.connections == 0
        assert isinstance(error, aiohttp.ClientConnectorError)
        assert isinstance(error.os_error, BlockedAddressError)


def _answer(address: str, *, port: int) -> list[tuple[Any, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


async def _resolve(resolver: GuardedResolver) -> list[Any]:
    return await resolver.resolve("turning.example", 443)


async def _post(url: str, *, guard: Guard, look_up: LookUp = look_up) -> Exception | None:
    async with aiohttp.ClientSession(connector=connector(guard, look_up=look_up)) as session:
        try:
            async with session.post(url, data=b"{}"):
                return None
        except aiohttp.ClientError as error:
            return error
