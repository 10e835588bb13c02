"""Ports of ours are free, and stay so while their server restarts."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from hishab.ports import LOOPBACK, PORTS, free_ports, is_free


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_is_free_once_its_server_has_gone() -> None:
    (port,) = free_ports(LOOPBACK)
    # Whoever closes first leaves a connection lingering; servers listen all the same.
    with socket.create_server((LOOPBACK, port)) as server, socket.create_connection((LOOPBACK, port)):
        accepted, _ = server.accept()
        accepted.close()
    assert is_free(port)


def test_a_foreign_address_is_an_error() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        free_ports("192.0.2.1")


def test_free_ports_can_be_listened_on_all_at_once() -> None:
    first, second = free_ports(LOOPBACK, LOOPBACK)
    with socket.create_server((LOOPBACK, first)), socket.create_server((LOOPBACK, second)):
        assert not {first, second} & set(free_ports(LOOPBACK, LOOPBACK))


def test_a_port_that_is_meant_for_somebody_else_is_not_found() -> None:
    (port,) = free_ports(LOOPBACK)
    assert port not in free_ports(LOOPBACK, LOOPBACK, but=port)


def test_processes_that_start_together_find_different_ports() -> None:
    find = [sys.executable, "-c", "from hishab.ports import *; print(*free_ports(LOOPBACK, LOOPBACK, LOOPBACK))"]
    with ExitStack() as running:
        processes = [running.enter_context(subprocess.Popen(find, stdout=subprocess.PIPE)) for _ in range(8)]
        found = [port for process in processes for port in process.communicate()[0].split()]
    assert len(set(found)) == len(found) == 24


def test_a_port_that_was_found_is_given_to_no_other_process() -> None:
    found = free_ports(LOOPBACK, LOOPBACK)
    # One that begins to look at the same place, as whoever comes as many processes later does.
    find = f"import os; os.getpid = lambda: {os.getpid()}; from hishab.ports import *; print(*free_ports(LOOPBACK))"
    others = subprocess.run([sys.executable, "-c", find], capture_output=True, text=True, check=True).stdout
    assert int(others) not in found
    assert free_ports(LOOPBACK, LOOPBACK) == found


def test_ports_of_ours_are_none_that_outgoing_connections_get() -> None:
    ranges = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not ranges.exists():
        pytest.skip("only Linux tells")
    first, _ = map(int, ranges.read_text().split())
    assert PORTS.stop <= first
