"""Run the commands as people do: a process of its own, its exit code, and what it says."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hishab.answers import Wallet
from hishab.client import Client
from tests.running_system import System

COMMAND_SECONDS_MAX = 240.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document that it printed."""
        return json.loads(self.out)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "hishab", *map(str, arguments)]


def hishab(*arguments: str | Path, **environment: str) -> Ended:
    """Run a command to its end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HISHAB_")}
    ended = subprocess.run(
        command(*arguments),
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return Ended(exit_code=ended.returncode, out=ended.stdout, err=ended.stderr)


def at(system: System) -> tuple[str, str, str]:
    """Return the arguments by which a command finds a system, and answers in JSON."""
    return "--data-dir", str(system.data_dir), "--json"


def ask(system: System, call: Callable[[Client], Awaitable[T]]) -> T:
    """Ask the system as its operator."""

    async def asking() -> T:
        async with Client(system.url, api_key=system.operator_key) as client:
            return await call(client)

    return asyncio.run(asking())


def wallets(system: System, *external_ids: str) -> dict[str, Wallet]:
    """Return the operator's wallets by their names."""
    found = ask(system, lambda client: client.wallets(external_ids))
    return {str(wallet.external_id): wallet for wallet in found}


def balances(system: System, *external_ids: str) -> dict[str, int]:
    """Return what wallets hold, in minor units, by their names."""
    return {name: wallet.balance_minor for name, wallet in wallets(system, *external_ids).items()}
