"""Decide which addresses webhooks may reach, and hold to it at the moment of connecting.

A check of the URL alone could be got around: what its name resolves to may change between the check and the connection.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Address = IPv4Address | IPv6Address

# A list of our own: on Python 3.11 `is_global` is True of multicast, NAT64, 6to4 of loopback and more (measured).
# Source: IANA special-purpose address registries for IPv4 and IPv6.
_NOT_PUBLIC: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network; 0.0.0.0 connects to loopback
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)

# All of IPv6 that has ever been given out to be reached from everywhere.
_PUBLIC_V6: Final = ip_network("2000::/3")
_NAT64: Final = ip_network("64:ff9b::/96")

NAME_LOOKUPS_MAX: Final = 256
"""Names looked up at once, in threads of their own: a name server that hangs holds up neither sends nor PostgreSQL."""

# Names are looked up anew after this long; connections are checked whenever they are made.
NAME_KEPT_SECONDS: Final = 10

# Less than the 5 s after which common servers close: a connection is not reused while its end is on the way.
KEEP_ALIVE_SECONDS: Final = 4.0


class BlockedAddressError(OSError):
    """The address is not one that webhooks may reach. No packet was sent to it."""


class Guard:
    """Knows which addresses are public, or allowed although they are not."""

    def __init__(self, allowed_cidrs: Sequence[str]) -> None:
        """Take ranges as `127.0.0.0/8`.

        Raises:
            ValueError: One of them is not a range.
        """
        self._allowed = tuple(ip_network(text) for text in allowed_cidrs)

    def allows(self, address: str) -> bool:
        """Say whether a webhook may be sent to an address, given in the form that connecting takes."""
        reached = _unwrap(ip_address(address))
        return any(reached in network for network in self._allowed) or _is_public(reached)

    def open_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for a connection; the last look, at the very address that is connected to.

        Raises:
            BlockedAddressError: It must not be.
        """
        family, kind, protocol, _, address = address_info
        if not self.allows(address[0]):
            raise BlockedAddressError
        return socket.socket(family, kind, protocol)


class GuardedResolver(AbstractResolver):
    """Resolves a name once, to addresses all of which are allowed."""

    def __init__(self, guard: Guard, look_up: Callable[[str, int, int], list[tuple[Any, ...]]]) -> None:
        """Take what a system's `getaddrinfo` would answer to a host, a port and a family."""
        self._guard = guard
        self._look_up = look_up
        self._places = asyncio.Semaphore(NAME_LOOKUPS_MAX)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a name up.

        Raises:
            BlockedAddressError: One of its addresses is not allowed. A name that answers both ways is not trusted.
            OSError: There is no such name.
        """
        answers = await self._ask(host, port, family)
        addresses = [(answer[0], str(answer[4][0])) for answer in answers]
        if not all(self._guard.allows(address) for _, address in addresses):
            raise BlockedAddressError
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
            for family, address in addresses
        ]

    async def close(self) -> None:
        """Wait for no lookup that is under way."""

    async def _ask(self, host: str, port: int, family: int) -> list[tuple[Any, ...]]:
        """Look a name up in a thread that nobody waits for: a pool's would keep the process from ending."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()

        def answer(found: list[tuple[Any, ...]] | OSError) -> None:
            self._places.release()
            if answered.done():
                return
            if isinstance(found, OSError):
                answered.set_exception(found)
            else:
                answered.set_result(found)

        def look_up() -> None:
            try:
                found = self._look_up(host, port, family)
            except OSError as error:
                found = error
            except UnicodeError as error:
                # A label that is too long, or empty.
                found = OSError(str(error))
            # The loop may have ended meanwhile.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(answer, found)

        threading.Thread(target=look_up, name="name-lookup", daemon=True).start()
        return await answered


def look_up(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
    """Ask the system for the addresses of a host."""
    return list(socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM))


def connector(
    guard: Guard, *, look_up: Callable[[str, int, int], list[tuple[Any, ...]]] = look_up
) -> aiohttp.TCPConnector:
    """Make the maker of connections: to checked addresses only, kept alive per host, with the host's name in TLS."""
    return aiohttp.TCPConnector(
        resolver=GuardedResolver(guard, look_up),
        socket_factory=guard.open_socket,
        # Claims bound how many there are.
        limit=0,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        ttl_dns_cache=NAME_KEPT_SECONDS,
    )


def _unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _PUBLIC_V6:
        return False
    return not any(address in network for network in _NOT_PUBLIC)
