"""Find ports that stay free while their servers start, and restart."""

import atexit
import errno
import os
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"

# Below what Linux (from 32768) and macOS (from 49152) give to outgoing connections: while a server restarts, its port
# must not become some client's, least of all that of a client knocking at it, which TCP would connect to itself.
PORTS: Final = range(20_000, 32_000)
# Each process begins at a place of its own, so that it need not look past what all the others have found.
STRIDE: Final = 8
TRIES_MAX: Final = 200

# What this process has found is its own until it ends: others look for ports while its servers start. Held as UDP,
# whose ports are not TCP's, so that its servers may have them; whoever ends lets go of them, however they end.
_held: Final[dict[int, socket.socket]] = {}


def free_ports(*hosts: str, but: int = 0) -> list[int]:
    """Return a port for each host, all different and none of them `but`, that nobody listens on just now.

    No other process is given them as long as this one lives.

    Raises:
        OSError: A host is no address of this machine, or there are no such ports.
    """
    first = os.getpid() * STRIDE
    candidates = (PORTS[(first + step) % len(PORTS)] for step in range(TRIES_MAX))
    found: list[int] = []
    for port in candidates:
        if port != but and is_free(port, host=hosts[len(found)]) and _hold(port):
            found.append(port)
        if len(found) == len(hosts):
            return found
    raise OSError(errno.EADDRINUSE, f"no port is free between {PORTS.start} and {PORTS.stop}")


def is_free(port: int, *, host: str = LOOPBACK) -> bool:
    """Tell whether a server could listen on the port.

    Raises:
        OSError: `host` is no address of this machine, or the port is not ours to use.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as knocking:
        # As servers do: what lingers of an earlier connection is no hindrance.
        knocking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            knocking.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _hold(port: int) -> bool:
    """Keep a port for this process; say whether no other has it."""
    if port in _held:
        return True
    holding = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        holding.bind((LOOPBACK, port))
    except OSError:
        holding.close()
        return False
    _held[port] = holding
    # Python warns of sockets that are left open at its end.
    atexit.register(holding.close)
    return True
