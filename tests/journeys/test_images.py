"""Do the words of the images and of the compose file bring up a system that works, tells its health, and ends?"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from hishab.embedded import PrivatePostgres, find_broker
from hishab.launch_plan import MODULES
from hishab.ports import LOOPBACK, free_ports
from hishab.postgres_program import ENVIRONMENT, find_postgres
from hishab.process import Part
from scripts.constraints import ROOT
from tests.callers import ended, operating, pay, signed_up
from tests.containers import (
    COMPLETED,
    HEALTHY,
    Container,
    Service,
    fill,
    read_services,
    read_variables,
    unprivileged,
)
from tests.eventually import eventually
from tests.receiver import receiving
from tests.running_system import System, answers, lets_in, run_to_its_end, running, tail

HEALTHY_SECONDS_MAX = 90.0
WORKERS = ("lanes", "webhooks", "upkeep")

# What an .env may say for a receiver on one's own machine.
LOCAL_WEBHOOKS = {"HISHAB_WEBHOOK_ALLOWED_CIDRS": "127.0.0.0/8", "HISHAB_WEBHOOK_HTTPS_ONLY": "false"}


@dataclass(kw_only=True)
class Stack:
    """What runs so far.

    Attributes:
        place: A directory that everybody may pass through.
        port: Of the edge; two more are those of the servers.
        addresses: What stands for those of the network between containers.
    """

    place: Path
    variables: Mapping[str, str]
    port: int
    postgres_port: int
    redis_port: int
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    containers: dict[str, Container] = field(default_factory=dict[str, Container])
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict[str, "subprocess.Popen[bytes]"])
    healthy: set[str] = field(default_factory=set[str])
    completed: set[str] = field(default_factory=set[str])

    def log(self, name: str) -> Path:
        return self.place / f"{name}.log"


def new_variables() -> dict[str, str]:
    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "new_env.py"], stdout=subprocess.PIPE, text=True, check=True
    )
    return {**read_variables(made.stdout), **LOCAL_WEBHOOKS}


def test_nothing_is_started_without_secrets() -> None:
    example = read_variables((ROOT / ".env.example").read_text())
    with pytest.raises(KeyError, match=r"make \.env first"):
        read_services(example)
    for name in (name for name, value in example.items() if not value and name != "HISHAB_WEBHOOK_ALLOWED_CIDRS"):
        with pytest.raises(KeyError, match=name):
            read_services({**new_variables(), name: ""})


@pytest.mark.skipif(sys.platform != "linux", reason="images are Linux")
def test_the_words_of_the_images_bring_up_a_system_that_works_tells_its_health_and_ends() -> None:
    with started() as stack:
        system = System(
            url=f"http://{LOOPBACK}:{stack.port}",
            operator_key=made_key(stack.containers["api"]),
            data_dir=stack.place,
            log=stack.log("api"),
            pid=stack.processes["api"].pid,
        )
        pays_and_is_told(system)
        tells_of_workers_that_do_nothing(stack)
        for name in reversed(stack.processes):
            stack.processes[name].send_signal(signal.SIGTERM)
            code = stack.processes[name].wait(stack.containers[name].service.grace_seconds)
            assert code == 0, f"{name} ended with {code}\n{tail(stack.log(name))}"


@contextmanager
def started() -> Generator[Stack]:
    """Start every service once what it needs is there; leave the block only with all of them ended."""
    with tempfile.TemporaryDirectory(prefix="hishab-tests-") as directory, ExitStack() as running_ones:
        place = Path(directory)
        place.chmod(0o755)
        port, postgres_port, redis_port = free_ports(LOOPBACK, LOOPBACK, LOOPBACK)
        stack = Stack(
            place=place, variables=new_variables(), port=port, postgres_port=postgres_port, redis_port=redis_port
        )
        for service in read_services(stack.variables):
            needed = {name for name, condition in service.needs.items() if condition == HEALTHY}
            done = {name for name, condition in service.needs.items() if condition == COMPLETED}
            assert needed <= stack.healthy, service.name
            assert done <= stack.completed, service.name
            match service.name:
                case "postgres":
                    running_ones.enter_context(postgres(service, stack))
                case "redis":
                    running_ones.enter_context(redis(service, stack))
                case _:
                    running_ones.enter_context(ours(service, stack))
        yield stack


@contextmanager
def postgres(service: Service, stack: Stack) -> Generator[None]:
    """Run the embedded PostgreSQL with the settings and under the health check of the service."""
    assert service.command[0] == "postgres"
    assert set(service.command[1::2]) == {"-c"}
    program = find_postgres(stack.place, environment=os.environ)
    server = PrivatePostgres(
        program=program,
        directory=stack.place / "postgres",
        port=stack.postgres_port,
        password=service.environment["POSTGRES_PASSWORD"],
        settings=dict(setting.split("=", 1) for setting in service.command[2::2]),
    )
    server.make_ready()
    with running(server.part, out=stack.log("postgres"), log=stack.log("postgres")):
        eventually(lambda: lets_in(server.url), otherwise=lambda: tail(stack.log("postgres")))
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE hishab")
        program_path = str(program.binaries / service.health[0])
        health = Part(
            name="pg_isready",
            command=[program_path, *service.health[1:]],
            environment={**ENVIRONMENT, "PGPORT": str(server.port)},
        )
        eventually(lambda: run_to_its_end(health).returncode == 0, otherwise=lambda: tail(stack.log("postgres")))
        stack.healthy.add(service.name)
        stack.addresses["@postgres:5432/"] = f"@{LOOPBACK}:{server.port}/"
        yield


@contextmanager
def redis(service: Service, stack: Stack) -> Generator[None]:
    """Run the embedded broker with the words of the service."""
    assert service.command[0] == "redis-server"
    port, place = stack.redis_port, stack.place / "redis"
    place.mkdir()
    here = ["--bind", LOOPBACK, "--port", str(port), "--dir", str(place)]
    server = Part(
        name="redis",
        command=[str(find_broker(environment=os.environ)), *service.command[1:], *here],
        environment=ENVIRONMENT,
        stop_seconds_max=service.grace_seconds,
    )
    with running(server, out=stack.log("redis"), log=stack.log("redis")):
        # The broker that comes with us has no redis-cli, so the health check of the service is left out.
        url = f"redis://:{service.environment['REDISCLI_AUTH']}@{LOOPBACK}:{port}/0"
        eventually(lambda: answers(url), otherwise=lambda: tail(stack.log("redis")))
        stack.healthy.add(service.name)
        stack.addresses["@redis:6379/"] = f"@{LOOPBACK}:{port}/"
        yield


@contextmanager
def ours(service: Service, stack: Stack) -> Generator[None]:
    """Run one of our own services, until it has completed or until it is healthy."""
    assert service.image is not None
    assert service.command[3:] == MODULES[service.name], "the launcher starts it in another way"
    environment = stack.place / service.image.lock
    if not environment.exists():
        fill(environment, service.image)
    container = Container(
        service=service,
        environment=environment,
        identity=unprivileged(environment / "bin" / "python"),
        port=stack.port,
        addresses=stack.addresses,
    )
    stack.containers[service.name] = container
    if not service.health:
        ran = run_to_its_end(container.part)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert '"event": "schema.upgraded"' in ran.stdout
        stack.completed.add(service.name)
        yield
        return
    log = stack.log(service.name)
    if service.name == "api":
        assert run_to_its_end(container.health).returncode == 1, "it is healthy before it has begun"
    with running(container.part, out=log, log=log) as process:
        stack.processes[service.name] = process
        eventually(
            lambda: run_to_its_end(container.health).returncode == 0,
            seconds_max=HEALTHY_SECONDS_MAX,
            otherwise=lambda: f"{service.name}: {run_to_its_end(container.health).stderr}\n{tail(log)}",
        )
        stack.healthy.add(service.name)
        yield


def made_key(api: Container) -> str:
    """Make an operator's key as docs/docker.md says."""
    with tempfile.TemporaryDirectory(prefix="hishab-tests-") as directory:
        Path(directory).chmod(0o777)
        ran = run_to_its_end(
            api.runs("key", "python", "-P", "-m", "api.bootstrap", "--key-file", f"{directory}/operator.key")
        )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def pays_and_is_told(system: System) -> None:
    """Pay once, see the balances move, and be told by a webhook that verifies."""
    with receiving() as receiver, signed_up(system) as payer, signed_up(system) as payee, operating(system) as operator:
        assert operator.get("/v1/system/balance").status_code == 200
        endpoint = payer.http.post("/v1/webhook-endpoints", json={"url": receiver.url})
        assert endpoint.status_code == 201, endpoint.text
        transfer_id = pay(payer.http, to=payee.wallet_id, amount=12_550, key="lunch").json()["id"]
        assert ended(payer.http, transfer_id)["status"] == "succeeded"
        assert (payer.balance_minor, payee.balance_minor) == (487_450, 512_550)
        received = eventually(lambda: next(iter(receiver.received), None), seconds_max=60.0)
        assert received is not None
        assert received.verified(endpoint.json()["secret"])["data"]["id"] == transfer_id


def tells_of_workers_that_do_nothing(stack: Stack) -> None:
    """Freeze the workers, which then live and do nothing: their health checks say so, and take it back."""
    workers = [stack.processes[name] for name in WORKERS]
    for worker in workers:
        os.killpg(worker.pid, signal.SIGSTOP)
    frozen = side_by_side(stack)
    for worker in workers:
        os.killpg(worker.pid, signal.SIGCONT)
    assert all("has had nothing done" in complaint for complaint in frozen.values()), frozen
    eventually(lambda: not any(side_by_side(stack).values()), seconds_max=HEALTHY_SECONDS_MAX)


def side_by_side(stack: Stack) -> dict[str, str]:
    """Run the health checks of the workers at the same time; give what each complains of."""
    with ThreadPoolExecutor() as checking:
        checks = {name: checking.submit(complaint, stack.containers[name].health) for name in WORKERS}
        return {name: check.result() for name, check in checks.items()}


def complaint(health: Part) -> str:
    """Run a health check and give what it complains of, which is nothing if all is well."""
    ran = run_to_its_end(health)
    assert bool(ran.returncode) == bool(ran.stderr), ran
    return ran.stderr
