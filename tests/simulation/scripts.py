"""Bring out what a broken variant does wrong: simulations whose steps are chosen by hand, statement by statement.

Each returns the invariants that do not hold, and what the checker of loads and chaos finds; nothing of a system that is
whole. Trouble that a mechanism makes by refusing (a constraint, a row count) is what it is there for, and no finding.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psycopg

from shared.database.connections import AUDIT, WORKER, connect
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.simulation.edge import Ways
from tests.simulation.interruption import COMMIT, Interruption, Moment
from tests.simulation.mechanisms import KeysInBroker, wake_and_accept
from tests.simulation.model import Invariant
from tests.simulation.simulation import Simulation
from tests.simulation.world import ANNS, BENS, open_wallets
from worker.lanes.apply import Holder, drain

WAIT_SECONDS_MAX: Final = 30.0
COUNT_WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
LOW, BETWEEN, HIGH = UUID(int=2), UUID(int=4), UUID(int=7)


def work_in_the_middle(database_url: str, without: frozenset[str]) -> list[str]:
    """Have a second worker come, late enough to take the first for dead, after the first has read the queue."""
    with _simulation(database_url, without) as simulation:
        _pay(simulation)

        def come() -> None:
            simulation.workers.let_time_pass()
            simulation.workers.work("second")

        simulation.workers.work(interruption=Interruption(at="READ_HEAD", moment=Moment.AFTER, act=come))
        return _verdict(simulation)


def come_late_into_the_middle(database_url: str, without: frozenset[str]) -> list[str]:
    """Commit a transfer with an early place after a worker has read one with a later place."""
    with _simulation(database_url, without) as simulation:
        request = simulation.callers.request
        simulation.callers.begin(request(ANNS, BENS, 5, key="slow"))
        simulation.submit([request(BENS, ANNS, 3, key="quick")])
        late = Interruption(at="READ_HEAD", moment=Moment.AFTER, act=simulation.callers.finish)
        simulation.workers.work(interruption=late)
        return _verdict(simulation)


def wake_before_commit(database_url: str, without: frozenset[str]) -> list[str]:
    """Have a worker take the wake-up in the moment in which it is sent."""
    with _simulation(database_url, without) as simulation:
        simulation.submit([simulation.callers.request(ANNS, BENS, 5, key="a")], is_eager=True)
        return _verdict(simulation, sweeps="sweep" not in without)


def lose_the_broker(database_url: str, without: frozenset[str]) -> list[str]:
    """Empty the broker between a request and its repetition."""
    keys = KeysInBroker()
    with _simulation(database_url, without, keys=keys) as simulation:
        request = simulation.callers.request
        simulation.submit([request(ANNS, BENS, 5, key="a")])
        simulation.submit([request(ANNS, BENS, 5, key="a")])
        keys.empty()
        simulation.lose_wake_ups()
        simulation.submit([request(ANNS, BENS, 5, key="a")])
        return _verdict(simulation)


def wait_for_the_lane(database_url: str, without: frozenset[str]) -> list[str]:
    """Have a worker, taken for dead and alive all the same, wait for the lane while another applies its head."""
    with _simulation(database_url, without) as simulation:
        _pay(simulation)
        has_begun, may_go_on = threading.Event(), threading.Event()

        def pause() -> None:
            has_begun.set()
            assert may_go_on.wait(WAIT_SECONDS_MAX)

        def let_it_wait() -> None:
            may_go_on.set()
            # It leaves at once where it is kept from waiting.
            eventually(lambda: not slow.is_alive() or simulation.world.books.value(COUNT_WAITING))

        paused = Interruption(at=COMMIT, moment=Moment.AFTER, act=pause)
        slow = threading.Thread(target=simulation.workers.work, args=("second",), kwargs={"interruption": paused})
        slow.start()
        assert has_begun.wait(WAIT_SECONDS_MAX)
        simulation.workers.let_time_pass()
        holding = Interruption(at="READ_ENDPOINTS", moment=Moment.AFTER, act=let_it_wait)
        simulation.workers.work(interruption=holding)
        may_go_on.set()
        slow.join()
        return _verdict(simulation)


def deadlock(database_url: str, without: frozenset[str]) -> list[str]:
    """Have the workers of two lanes come to the same wallets, one of which somebody else holds until both wait."""
    del without
    books = Ledger.on(database_url)
    books.connection.execute("INSERT INTO lanes (lane) VALUES (2)")
    open_wallets(books, dict.fromkeys((HIGH, BETWEEN, LOW), OPERATORS_OWNER_ID))
    asked = [(LOW, BETWEEN), (LOW, HIGH), (HIGH, LOW)]
    books.accept([books.request(source, destination, 1) for source, destination in asked], lane_count=2)
    victims: list[str] = []

    def work(lane: int) -> None:
        with connect(database_url, application_name="simulation", timeouts=WORKER) as connection:
            try:
                drain(connection, lane=lane, holder=Holder(id=new_id()))
            except psycopg.errors.DeadlockDetected as error:
                victims.append(str(error))

    threads = [threading.Thread(target=work, args=(lane,)) for lane in (1, 2)]
    with connect(database_url, application_name="simulation", timeouts=AUDIT) as holder, holder.transaction():
        holder.execute("SELECT FROM wallets WHERE id = %s FOR NO KEY UPDATE", (BETWEEN,))
        for waiting, thread in enumerate(threads, start=1):
            thread.start()
            eventually(lambda waiting=waiting: books.value(COUNT_WAITING) == waiting)
    for thread in threads:
        thread.join()
    books.connection.close()
    return [Invariant.NO_DEADLOCK] if victims else []


Script = Callable[[str, frozenset[str]], list[str]]

SCRIPTS: Final[Sequence[Script]] = (
    work_in_the_middle,
    come_late_into_the_middle,
    wake_before_commit,
    lose_the_broker,
    wait_for_the_lane,
    deadlock,
)


@contextmanager
def _simulation(
    database_url: str, without: frozenset[str], *, keys: KeysInBroker | None = None
) -> Generator[Simulation]:
    ways = Ways()
    if "wake-up after commit" in without:
        ways = Ways(accept_and_wake=wake_and_accept)
    if "keys in PostgreSQL" in without and keys is not None:
        ways = Ways(accept=keys.accept, accept_at_once=None)
    simulation = Simulation(database_url, ways=ways)
    try:
        yield simulation
    finally:
        simulation.close()


def _pay(simulation: Simulation) -> None:
    """Ask for a transfer that succeeds and one that does not."""
    request = simulation.callers.request
    simulation.submit([request(ANNS, BENS, 5, key="a")])
    simulation.submit([request(ANNS, BENS, 1_000, key="b")])


def _verdict(simulation: Simulation, *, sweeps: bool = True) -> list[str]:
    """Say what does not hold at this moment, what does not at rest, and what the checker finds."""
    simulation.check()
    complaints, faults = simulation.rest(sweeps=sweeps)
    found = {str(complaint.invariant) for complaint in complaints} - {Invariant.NO_TROUBLE}
    return sorted(found) + sorted({f"checker: {named.partition(':')[0]}" for named in faults.named})
