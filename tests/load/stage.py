"""Hold what all scenarios of a run stand on: servers, references, and a fresh Hishab for each round."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg

from tests.eventually import eventually
from tests.load.audit import Audited, audited
from tests.load.checker import Faults
from tests.load.generator import Answer, Generate, Job, Server
from tests.load.payments import Wallets
from tests.load.pgbench import Reference
from tests.load.seed import NAME, sow
from tests.load.servers import Servers
from tests.load.system import System, planned, serving_edge
from tests.load.timeline import Timeline

SEED_DIRECTORY = "hishab"
QUIET_SECONDS_MAX = 60.0

COUNT_VACUUMS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
COUNT_OWED = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything a run does; `bench-quick` does less of it, less often.

    Attributes:
        backlog: Transfers of one apply scenario.
        seconds: Of each measurement that runs for a time.
        messages: That Celery carries.
        batches: Of a thousand transfers each, over HTTP.
        lone: Transfers sent one by one on an idle system.
        memory_backlog: Transfers that wait while the lane worker's memory is watched.
        webhooks: Deliveries to one receiver, and as many bare posts.
        waiters: That wait for something that does not happen.
        plots: Whether to measure what only the plots show.
    """

    rounds: int
    backlog: int
    seconds: int
    messages: int
    batches: int
    lone: int
    memory_backlog: int
    webhooks: int
    waiters: int
    plots: bool


FULL = Size(
    rounds=3, backlog=50_000, seconds=3, messages=1_000, batches=30, lone=200, memory_backlog=1_000_000,
    webhooks=10_000, waiters=1_000, plots=True,
)  # fmt: skip
QUICK = Size(
    rounds=1, backlog=20_000, seconds=2, messages=500, batches=10, lone=50, memory_backlog=100_000,
    webhooks=3_000, waiters=1_000, plots=False,
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Stage:
    """One run.

    Attributes:
        faults: Of all scenarios so far.
        problems: What could not be measured, and why.
        latest: The last figure of each name, for scenarios whose load depends on what another one reached.
        timeline: Of what is being done.
        round: Which one this is, from 1.
    """

    servers: Servers
    size: Size
    wallets: Wallets
    generate: Generate
    trivial: Server
    bare: Server
    raw: Server
    reference: Reference
    timeline: Timeline
    round: int = 1
    problems: list[str] = field(default_factory=list[str])
    faults: Faults = field(default_factory=Faults)
    latest: dict[str, float] = field(default_factory=dict[str, float])
    points: dict[str, list[tuple[float, ...]]] = field(default_factory=dict[str, list[tuple[float, ...]]])
    _made: int = 0
    _round_life: ExitStack = field(default_factory=ExitStack)
    _system: System | None = None

    @contextmanager
    def fresh_system(self, settings: Mapping[str, str] | None = None) -> Generator[System]:
        """Plan a Hishab on a copy of the seed; nothing of it runs yet."""
        self._made += 1
        name = f"bench_{self._made}"
        with self.timeline.part("copying"):
            url = self.servers.create_database(name, template=NAME)
        try:
            with planned(self.servers, name=SEED_DIRECTORY, database_url=url, settings=settings) as system:
                yield system
        finally:
            self.servers.drop_database(name)

    def system(self, *parts: str) -> System:
        """Give the Hishab that serves HTTP in this round, running exactly these parts."""
        if self._system is None:
            self._system = self._round_life.enter_context(self.fresh_system())
        with self.timeline.part("starting and stopping"):
            # Without a name, all would be stopped.
            if others := [name for name in self._system.lives if name not in parts]:
                self._system.stop(*others)
            self._system.start(*parts)
        return self._system

    def settle(self) -> None:
        """Let what was done before come to its end, so that whatever is measured next begins alike.

        Nobody is still to be told of it, nothing is being vacuumed, and no page is left to be written.
        """
        with self.timeline.part("settling"), psycopg.connect(self.servers.postgres.url, autocommit=True) as connection:
            if self._system is not None and "webhooks" in self._system.lives:
                with psycopg.connect(self._system.database_url, autocommit=True) as ours:
                    eventually(lambda: not _count(ours, COUNT_OWED), seconds_max=QUIET_SECONDS_MAX)
            eventually(lambda: not _count(connection, COUNT_VACUUMS), seconds_max=QUIET_SECONDS_MAX)
            connection.execute("CHECKPOINT")

    def audit_round(self) -> None:
        """Audit all that this round has left in its ledger, once; scenarios check what they have added."""
        if self._system is not None:
            with self.checked(self._system, whole=True):
                pass

    def end_round(self) -> None:
        """Stop what ran in this round."""
        self._round_life.close()
        self._system = None

    @contextmanager
    def checked(self, system: System, *, whole: bool = False) -> Generator[Audited]:
        """Audit a scenario, and add what is wrong to the faults of the run; `audited` describes `whole`."""
        with ExitStack() as life, audited(system.database_url, whole=whole) as found:
            yield found
            life.enter_context(self.timeline.part("auditing"))
        self.faults = self.faults.plus(found.faults)


@contextmanager
def staged(servers: Servers, *, size: Size, generate: Generate, timeline: Timeline) -> Generator[Stage]:
    """Set up a run: the seed, the references, and the servers that we are compared with."""
    log = servers.place / "edges.log"
    with ExitStack() as life:
        raw = life.enter_context(serving_edge("raw", environment={}, log=log))
        timeline.begin("making the references' tables")
        reference = Reference.on(servers)
        timeline.begin("opening and funding wallets")
        wallets = sow(servers, webhook_url=f"{raw.url}/hooks")
        environment, key = _edge_environment(servers)
        trivial = life.enter_context(serving_edge("trivial", environment=environment, log=log, credentials=key))
        bare = life.enter_context(serving_edge("bare", environment=environment, log=log))
        stage = Stage(
            servers=servers,
            size=size,
            wallets=wallets,
            generate=generate,
            trivial=trivial,
            bare=bare,
            raw=raw,
            reference=reference,
            timeline=timeline,
        )
        try:
            yield stage
        finally:
            stage.end_round()
            timeline.end()


def answered(stage: Stage, job: Job, *, status: int = 202) -> list[Answer]:
    """Send, and see that everything was answered as it should be."""
    answers = stage.generate(job)
    others = [answer for answer in answers if answer.status != status]
    assert not others, (
        f"{len(others)} of {len(answers)} answers are not {status}: {others[0].head!r} {others[0].body!r}"
    )
    return answers


def _edge_environment(servers: Servers) -> tuple[Mapping[str, str], str]:
    """Give the trivial edge a database of its own, so that nobody is connected to the seed, and the operator's key."""
    url = servers.create_database("edge", template=NAME)
    with planned(servers, name=SEED_DIRECTORY, database_url=url) as system:
        return system.plan.environment, system.operator_key


def _count(connection: psycopg.Connection, statement: LiteralString) -> int:
    (count,) = connection.execute(statement).fetchone() or (0,)
    return int(count)
