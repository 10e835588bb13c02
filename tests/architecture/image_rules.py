"""Rules over the Dockerfiles and docker-compose.yml that hadolint and the schema of compose files have no word for."""

import re
from collections.abc import Iterator

from tests.containers import COMPLETED, HEALTHY, Instruction, Service, stages

OFFICIAL_TAG = re.compile(r"[a-z]+:\d[\w.-]*(?: AS \w+)?")
BOUNDS = ("logging", "mem_limit", "restart", "stop_grace_period")
NOT_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


def image_is_sound(dockerfile: str) -> Iterator[str]:
    """Find what makes an image larger, weaker or deafer than it need be."""
    found = stages(dockerfile)
    for instruction in (instruction for stage in found for instruction in stage):
        yield from _instruction_is_sound(instruction)
    last = dict(found[-1])
    faults = {
        "what builds it stays in it": len(found) == 1 or not last["COPY"].startswith("--from="),
        "runs as root, or under a name that says nothing to who runs it": not re.match(r"[1-9]\d*$", last["USER"]),
        "a shell stands between SIGTERM and the process": not all(
            last[name][0] == "[" for name in ("ENTRYPOINT", "CMD")
        ),
        "does not tell its health": "CMD [" not in last["HEALTHCHECK"],
    }
    yield from (fault for fault, is_there in faults.items() if is_there)


def _instruction_is_sound(instruction: Instruction) -> Iterator[str]:
    match instruction:
        case ("FROM", base) if not OFFICIAL_TAG.fullmatch(base):
            yield f"{base}: pin a version"
        case ("ADD", words):
            yield f"{words}: ADD fetches and unpacks, COPY does not"
        case ("RUN", words):
            yield from (f"{step}: installs what nobody has checked" for step in words.split("&&") if _is_blind(step))
        case _:
            pass


def _is_blind(step: str) -> bool:
    return " install " in step and "--require-hashes" not in step and "--no-index" not in step


def service_is_sound(service: Service) -> Iterator[str]:
    """Find what lets a service start too soon, end too abruptly, grow without bound or be reached by strangers."""
    said = service.said
    yield from (f"{service.name}: says nothing of {option}" for option in BOUNDS if option not in said)
    is_locked_in = bool(said.get("init") and said.get("read_only") and said.get("cap_drop") == ["ALL"])
    ends = str(said.get("restart")).startswith("on-failure")
    faults = {
        "not as locked in as it could be": service.image is not None and not is_locked_in,
        "starts before what it needs is healthy": not set(service.needs.values()) <= {HEALTHY, COMPLETED},
        "is open to everybody": not all(port.startswith("127.0.0.1:") for port in said.get("ports", [])),
        "loses what was said to be committed": any(word.startswith(NOT_DURABLE) for word in service.command),
        "does not tell its health": not service.health and not ends,
    }
    yield from (f"{service.name}: {fault}" for fault, is_there in faults.items() if is_there)
