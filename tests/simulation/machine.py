"""Choose the steps of a simulation by chance, and look after each whether everything holds."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from typing import Final, NamedTuple, cast
from uuid import UUID

import hypothesis
from hypothesis import HealthCheck, Phase, reproduce_failure, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, invariant, rule

from shared.domain.acceptance import TransferRequest
from shared.domain.owner import OPERATORS_OWNER_ID
from tests.databases import Databases
from tests.simulation.interruption import COMMIT, Interruption, Moment
from tests.simulation.model import Looked
from tests.simulation.simulation import Simulation
from tests.simulation.world import ANN, ANNS, BEN, BENS, ENDPOINTS, LANE, OPERATORS_FIRST, WALLETS
from worker.lanes.apply import BATCH_MAX

KEYS: Final = [f"k{n}" for n in range(12)]
BATCH_KEYS: Final = ["b0", "b1", "b2"]
PLACES: Final[Mapping[str, Sequence[str]]] = {
    "submit": ("ACCEPT_AT_ONCE", "RESOLVE", "ACCEPT", "READ_RECORDS", COMMIT),
    "batch": ("FIND_EARLIER", "RESOLVE", "ACCEPT_BATCHES", "ACCEPT", "READ_RECORD", COMMIT),
    "work": (
        *("TAKE_LANE", "MARK_BUSY", COMMIT, "KEEP_LANE", "READ_HEAD", "LOCK_WALLETS", "READ_ENDPOINTS"),
        *("UPDATE_WALLETS", "READ_TRANSFERS", "DELETE_APPLIED", "RECORD_APPLICATION", "NOTIFY_APPLIED", "CLEAR_BUSY"),
        *("COUNT_ATTEMPT", "HAS_WORK"),
    ),
    "deliver": ("READ_OWED", "CLAIM", "TAKE_PROBES", "RECORD", COMMIT),
}
NOBODYS_WALLET: Final = UUID(int=404)
FOREIGN_LANES: Final = [0, 2, 32_767, 70_000]


class Asked(NamedTuple):
    """A transfer that somebody asks for."""

    pair: tuple[UUID, UUID]
    amount: int
    key: str
    reference: str | None


class Stop(NamedTuple):
    """Where work is interrupted."""

    at: str
    moment: Moment
    nth: int


numbers = st.integers(0, 30)
seldom = st.integers(0, 3).map(lambda number: number == 3)
amounts = st.integers(1, 60)
keys = st.sampled_from(KEYS)
references = st.sampled_from([None, "a", "b"])
pairs = st.permutations(list(WALLETS)).map(lambda shuffled: (shuffled[0], shuffled[1]))
asked = st.builds(Asked, pair=pairs, amount=amounts, key=keys, reference=references)
limits = st.sampled_from([1, 2, 3, BATCH_MAX])
workers = st.sampled_from(["first", "second"])
stops = st.builds(
    Stop, at=st.sampled_from(PLACES["work"]), moment=st.sampled_from(Moment), nth=st.sampled_from([1, 1, 2, 3])
)


def cuts(work: str) -> st.SearchStrategy[Interruption | None]:
    """Draw where the connection is cut, if it is."""
    cut = st.builds(
        Interruption, at=st.sampled_from(PLACES[work]), moment=st.sampled_from(Moment), nth=st.integers(1, 2)
    )
    return st.none() | cut


looks = st.builds(
    Looked,
    status=st.sampled_from([None, "queued", "succeeded", "failed"]),
    reference=references,
    key=st.none() | keys,
    wallet=st.none() | st.sampled_from(list(WALLETS)),
)


class Machine(RuleBasedStateMachine):
    """The steps that there are."""

    def __init__(self, databases: Databases, seen: Counter[str]) -> None:
        """Begin with a database where everybody holds a little.

        Args:
            seen: Where it is noted what has happened.
        """
        super().__init__()
        self._seen = seen
        self._stack = ExitStack()
        self.simulation = Simulation(self._stack.enter_context(databases.fresh()))
        self._stack.callback(self.simulation.close)

    @rule(asked=asked, cut=cuts("submit"), is_eager=seldom)
    def submit(self, *, asked: Asked, cut: Interruption | None, is_eager: bool) -> None:
        self._submit([asked], cut, is_eager=is_eager)

    @rule(asked=st.lists(asked, min_size=2, max_size=5), cut=cuts("submit"))
    def submit_together(self, asked: list[Asked], cut: Interruption | None) -> None:
        # Of two with one key it is not said which is first, so they are the same.
        together = list({one.key: one for one in asked}.values())
        self._submit([*together, together[0]], cut)

    @rule(number=numbers, otherwise=st.booleans(), cut=cuts("submit"))
    def ask_again(self, *, number: int, otherwise: bool, cut: Interruption | None) -> None:
        if request := self.simulation.callers.again(number, otherwise=otherwise):
            self.simulation.submit([request], interruption=cut)
            self._note(cut, "asked again, otherwise" if otherwise else "asked again")

    @rule(key=keys, pair=st.sampled_from([(ANNS, ANNS), (NOBODYS_WALLET, ANNS), (OPERATORS_FIRST, NOBODYS_WALLET)]))
    def submit_what_cannot_be(self, key: str, pair: tuple[UUID, UUID]) -> None:
        self._submit([Asked(pair, 1, key, None)], None)

    @rule(
        key=st.sampled_from(BATCH_KEYS),
        items=st.lists(st.tuples(st.sampled_from([ANNS, NOBODYS_WALLET, *WALLETS]), amounts), min_size=1, max_size=4),
        cut=cuts("batch"),
    )
    def submit_batch(self, key: str, items: list[tuple[UUID, int]], cut: Interruption | None) -> None:
        request = self.simulation.callers.request
        transfers = [
            request(OPERATORS_FIRST, destination, amount, key=None)
            for destination, amount in items
            if destination != OPERATORS_FIRST
        ]
        if transfers:
            self.simulation.callers.submit_batch(key, transfers, interruption=cut)
            self._note(cut, "batch")

    @rule(asked=asked)
    def begin_slowly(self, asked: Asked) -> None:
        self.simulation.callers.begin(self._request(asked))

    @rule(dies=st.booleans())
    def finish_slowly(self, *, dies: bool) -> None:
        self.simulation.callers.finish(dies=dies)

    @rule(number=numbers, worker=workers, limit=limits, stays=st.booleans())
    def work(self, *, number: int, worker: str, limit: int, stays: bool) -> None:
        if (lane := self.simulation.take_wake_up(number)) is not None:
            self.simulation.workers.work(worker, lane=lane, limit=limit, stays=stays)

    @rule(asked=asked, worker=workers, limit=limits, stop=stops, dies=st.booleans(), is_redelivered=st.booleans())
    def work_and_be_cut(
        self, *, asked: Asked, worker: str, limit: int, stop: Stop, dies: bool, is_redelivered: bool
    ) -> None:
        """Be cut at something that has just come; a message that was not acknowledged may come again, or be lost."""
        self._submit([asked], None)
        cut = Interruption(at=stop.at, moment=stop.moment, nth=stop.nth)
        lane = self.simulation.take_wake_up(0)
        self.simulation.workers.work(worker, limit=limit, interruption=cut, dies=dies)
        if lane is not None and (is_redelivered or not cut.happened):
            self.simulation.world.wake_ups.append(lane)
        self._note(cut, "worked")

    @rule(
        worker=workers,
        limit=limits,
        stop=stops,
        meanwhile=st.sampled_from(["work", "late", "slow", "submit"]),
        asked=asked,
    )
    def work_meanwhile(self, worker: str, limit: int, stop: Stop, meanwhile: str, asked: Asked) -> None:
        """Work at something that has just come, woken or not, while somebody else does something."""
        self._submit([asked], None)
        interruption = Interruption(at=stop.at, moment=stop.moment, nth=stop.nth, act=lambda: self._act(meanwhile))
        self.simulation.workers.work(worker, limit=limit, interruption=interruption)
        self._seen[f"{meanwhile} {stop.moment} {stop.at}"] += interruption.happened

    @rule(lane=st.sampled_from(FOREIGN_LANES))
    def work_a_foreign_lane(self, lane: int) -> None:
        self.simulation.workers.work(lane=lane, stays=False)

    @rule(number=numbers)
    def double_a_wake_up(self, number: int) -> None:
        if (lane := self.simulation.take_wake_up(number)) is not None:
            self.simulation.world.wake_ups += [lane, lane]

    @rule(is_lost=seldom)
    def lose_wake_ups(self, *, is_lost: bool) -> None:
        if is_lost:
            self._seen["wake-ups lost"] += bool(self.simulation.world.wake_ups)
            self.simulation.lose_wake_ups()

    @rule()
    def sweep(self) -> None:
        self.simulation.workers.sweep()

    @rule()
    def let_time_pass(self) -> None:
        self.simulation.workers.let_time_pass()

    @rule(hours=st.integers(-3, 3))
    def step_clocks(self, hours: int) -> None:
        self.simulation.workers.step_clocks(hours)

    @rule(down=st.frozensets(st.sampled_from(list(ENDPOINTS))), cut=cuts("deliver"))
    def deliver(self, down: frozenset[UUID], cut: Interruption | None) -> None:
        self.simulation.workers.deliver(down=down, interruption=cut)
        self._note(cut, "delivered")

    @rule(viewer=st.sampled_from([OPERATORS_OWNER_ID, ANN, BEN]), looked=looks, page=st.integers(1, 5))
    def look(self, viewer: UUID, looked: Looked, page: int) -> None:
        self.simulation.look(viewer, looked, page=page)

    @invariant()
    def everything_holds(self) -> None:
        """Say what does not."""
        assert_holds(self.simulation.check())

    def teardown(self) -> None:
        """Let everything come to its end, and look once more."""
        with self._stack:
            # Not after a failure, which this would hide.
            if sys.exc_info()[0] is None:
                complaints, faults = self.simulation.rest()
                assert_holds([*complaints, *faults.named])

    def _request(self, asked: Asked) -> TransferRequest:
        return self.simulation.callers.request(*asked.pair, asked.amount, key=asked.key, reference=asked.reference)

    def _submit(self, asked: Sequence[Asked], cut: Interruption | None, *, is_eager: bool = False) -> None:
        self.simulation.submit([self._request(one) for one in asked], interruption=cut, is_eager=is_eager)
        self._note(cut, "submitted")

    def _act(self, meanwhile: str) -> None:
        match meanwhile:
            case "slow":
                self.simulation.callers.finish()
            case "submit":
                self._submit([Asked((ANNS, BENS), 1, "meanwhile", None)], None)
            case _:
                if meanwhile == "late":
                    self.simulation.workers.let_time_pass()
                self.simulation.workers.work("third", lane=LANE)

    def _note(self, cut: Interruption | None, what: str) -> None:
        self._seen[what] += 1
        if cut is not None and cut.happened:
            self._seen[f"cut {cut.moment} {cut.at}"] += 1


def assert_holds(complaints: Sequence[object]) -> None:
    """Fail with all that was complained of."""
    assert not complaints, "\n".join(map(str, complaints))


def simulate(
    databases: Databases, *, seed: int, simulations: int, steps: int, blob: bytes | None = None
) -> Counter[str]:
    """Simulate so many times, by the chance that a number gives, and say what was seen to happen.

    Args:
        blob: What Hypothesis printed to reproduce one of them, instead of all.

    Raises:
        AssertionError: What does not hold, after the shortest steps to it that were found.
    """
    seen: Counter[str] = Counter()

    def machine() -> Machine:
        return Machine(databases, seen)

    how = settings(
        max_examples=simulations,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        phases=[Phase.generate, Phase.shrink],
    )
    test = get_state_machine_test(cast("type[Machine]", machine), settings=how)
    (hypothesis.seed(seed) if blob is None else reproduce_failure(version("hypothesis"), blob))(test)()
    return seen
