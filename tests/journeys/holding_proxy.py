"""Stand between a client and a running system, and keep answers from the client for as long as a test wants."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.running_system import System

CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingProxy:
    """Passes everything on, but for answers to requests that begin with `holds_back`, once `is_holding` is set.

    Attributes:
        held: Is set when an answer has come that the client will not see.
    """

    url: str
    holds_back: bytes
    is_holding: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)


@contextmanager
def holding_back(system: System, *, requests: bytes) -> Generator[HoldingProxy]:
    """Run a proxy before a system until the block is left; it begins by holding back."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        proxy = HoldingProxy(url=f"http://127.0.0.1:{door.getsockname()[1]}", holds_back=requests)
        proxy.is_holding.set()
        threading.Thread(target=_welcome, args=(door, proxy, system), daemon=True).start()
        yield proxy
        # Wakes the thread that waits at the door.
        door.shutdown(socket.SHUT_RDWR)


def _welcome(door: socket.socket, proxy: HoldingProxy, system: System) -> None:
    address = urlsplit(system.url)
    with suppress(OSError):
        while True:
            client, _ = door.accept()
            server = socket.create_connection((address.hostname, address.port))
            is_held = threading.Event()
            for pump in (_ask, _answer):
                threading.Thread(target=pump, args=(client, server, proxy, is_held), daemon=True).start()


def _ask(client: socket.socket, server: socket.socket, proxy: HoldingProxy, is_held: threading.Event) -> None:
    with suppress(OSError):
        while chunk := client.recv(CHUNK_BYTES):
            if chunk.startswith(proxy.holds_back) and proxy.is_holding.is_set():
                is_held.set()
            server.sendall(chunk)
    _close(client, server)


def _answer(client: socket.socket, server: socket.socket, proxy: HoldingProxy, is_held: threading.Event) -> None:
    with suppress(OSError):
        while chunk := server.recv(CHUNK_BYTES):
            if is_held.is_set():
                proxy.held.set()
            else:
                client.sendall(chunk)
    _close(client, server)


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
