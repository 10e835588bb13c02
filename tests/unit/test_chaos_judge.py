"""The judge of chaos finds what is planted into a history, a ledger or webhooks, and nothing in a sound run."""

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.evidence import Evidence, Heard, Movement, Outage
from tests.chaos.history import History, Kind, Operation, Outcome
from tests.chaos.judge import judge
from tests.load.checker import Balance, Entry, Row

WALLETS = {0: "a", 1: "b"}


def sound() -> Evidence:
    """Two transfers out of a, one refused, and a batch of two out of b; read, contradicted, told to whoever owns b."""
    operations = [
        accepted(0, "k1", "t1", at=1, amount=60),
        accepted(1, "k1", "t1", at=2, amount=60, kind=Kind.REPLAY),
        done(2, Kind.MISMATCH, "k1", at=3, status=422, code="idempotency_key_reused", amount=61),
        accepted(3, "k2", "t2", at=4, amount=60),
        done(4, Kind.READ, "t1", at=5, body={"id": "t1", "status": "succeeded"}),
        done(5, Kind.READ_WALLET, "a", at=6, body={"balance": 40, "entry_count": 2}),
        done(6, Kind.BATCH, "k3", at=7, body={"id": "b1", "transfer_ids": ["t3", "t4"]}, person=1, batch=(5, 6)),
        Operation(
            number=7,
            kind=Kind.SUBMIT,
            about="k4",
            person=0,
            asked=payment(9),
            invoked_seconds=8,
            outcome=Outcome.FAILED,
        ),
        done(8, Kind.READY, "/readyz", at=30, status=503),
        done(9, Kind.READY, "/readyz", at=50),
    ]
    rows = [
        Row("t1", "k1", "a", "b", 60, (None,), 1),
        Row("t2", "k2", "a", "b", 60, ("insufficient_funds",), 2),
        Row("t3", None, "b", "a", 5, (None,), 3),
        Row("t4", None, "b", "a", 6, (None,), 4),
    ]
    entries = [Entry("a", "t1", -60), Entry("a", "t3", 5), Entry("a", "t4", 6)]
    entries += [Entry("b", "t1", 60), Entry("b", "t3", -5), Entry("b", "t4", -6)]
    return Evidence(
        operations=operations,
        wallets=WALLETS,
        before={"a": Balance(100, 0), "b": Balance(0, 0)},
        rows=rows,
        entries=entries,
        movements=[
            *(Movement("a", 1, "t0", 100), Movement("a", 2, "t1", 40), Movement("a", 3, "t3", 45)),
            *(Movement("a", 4, "t4", 51), Movement("b", 1, "t1", 60), Movement("b", 2, "t3", 55)),
            Movement("b", 3, "t4", 49),
        ],
        batches={"k3": ["t3", "t4"]},
        heard=[told("t1"), told("t1"), told("t3"), told("t4")],
        listening=frozenset({1}),
        outages=[Outage(20, 40)],
    )


def payment(amount: int, *, to: str = "b") -> dict[str, object]:
    return {"destination_wallet_id": to, "amount": amount}


def done(
    number: int,
    kind: Kind,
    about: str,
    *,
    at: float,
    status: int = 200,
    code: str | None = None,
    body: object = None,
    amount: int = 0,
    person: int = 0,
    batch: tuple[int, ...] = (),
) -> Operation:
    asked = {"transfers": [payment(one, to="a") for one in batch]} if batch else payment(amount)
    return Operation(
        number=number,
        kind=kind,
        about=about,
        person=person,
        asked=asked,
        invoked_seconds=at,
        answered_seconds=at + 0.5,
        outcome=Outcome.OK if status < 400 else Outcome.FAILED,
        status=202 if batch else status,
        code=code,
        body=json.dumps(body),
    )


def accepted(number: int, key: str, transfer_id: str, *, at: float, amount: int, kind: Kind = Kind.SUBMIT) -> Operation:
    body = {"id": transfer_id, "status": "queued"}
    return done(number, kind, key, at=at, status=202, amount=amount, body=body)


def told(transfer_id: str, *, body: bytes = b"{}", status: str = "succeeded") -> Heard:
    return Heard(
        person=1,
        event_id=f"evt_{transfer_id}",
        transfer_id=transfer_id,
        type=f"transfer.{status}",
        status=status,
        body=body,
        verified=True,
        acknowledged=True,
    )


def with_operation(number: int, **changes: object) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        operations = list(evidence.operations)
        operations[number] = replace(operations[number], **changes)
        return replace(evidence, operations=operations)

    return change


def with_row(place: int, **changes: object) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        rows = list(evidence.rows)
        rows[place] = rows[place]._replace(**changes)
        return replace(evidence, rows=rows)

    return change


def with_more(**more: list[object]) -> Callable[[Evidence], Evidence]:
    return lambda evidence: replace(
        evidence, **{name: [*getattr(evidence, name), *rest] for name, rest in more.items()}
    )


def swapped(evidence: Evidence) -> Evidence:
    """The second transfer is applied before the first: there is enough for it, and then no more for the first."""
    first, second, *rest = evidence.rows
    first = first._replace(endings=("insufficient_funds",), turn=2)
    second = second._replace(endings=(None,), turn=1)
    entries = [e._replace(transfer_id="t2") if e.transfer_id == "t1" else e for e in evidence.entries]
    operations = [evidence.operations[number] for number in (0, 1, 2, 3, 6)]
    nobody: frozenset[int] = frozenset()
    return replace(
        evidence, rows=[first, second, *rest], entries=entries, operations=operations, heard=[], listening=nobody
    )


PLANTED: dict[str, tuple[Callable[[Evidence], Evidence], set[str]]] = {
    "a lost transfer": (lambda e: replace(e, rows=[*e.rows[:1], *e.rows[2:]]), {"I2"}),
    "one that has not ended": (with_row(1, endings=()), {"I2"}),
    "one that nobody asked for": (with_more(rows=[Row("t9", "k9", "a", "b", 999, ("insufficient_funds",), 9)]), {"I2"}),
    "another amount than was asked for": (with_row(1, amount=61), {"I2"}),
    "a doubled entry": (with_more(entries=[Entry("b", "t1", 60)]), {"I3"}),
    "two endings": (with_row(0, endings=(None, None)), {"I3"}),
    "a second transfer under a key": (
        with_more(rows=[Row("t9", "k1", "a", "b", 60, ("insufficient_funds",), 9)]),
        {"I3"},
    ),
    "a gap among entries": (with_more(audit=[("entries_follow", "a gap")]), {"I4"}),
    "a wrong refusal": (with_row(0, endings=("insufficient_funds",)), {"I5", "I8", "I9"}),
    "money that was not there": (with_row(1, endings=(None,)), {"I5", "I9"}),
    "an unprocessable one": (with_row(1, endings=("unprocessable",)), {"I5"}),
    "a valid request that was refused": (with_operation(7, status=422, retry_after=True), {"I5"}),
    "a reordered pair": (swapped, {"I6"}),
    "a batch applied out of order": (with_row(2, turn=5), {"I6"}),
    "money that does not sum to zero": (with_more(sums=["CZK: 1"]), {"I1"}),
    "another body for the same key": (with_operation(1, body=json.dumps({"id": "t1", "status": "other"})), {"I7"}),
    "another id for the same key": (
        with_operation(1, body=json.dumps({"id": "t2", "status": "queued"})),
        {"I2", "I3", "I7"},
    ),
    "a mismatch that was accepted": (with_operation(2, status=202, code=None, outcome=Outcome.OK), {"I7"}),
    "a status that goes back": (
        with_more(operations=[done(10, Kind.READ, "t1", at=60, body={"id": "t1", "status": "queued"})]),
        {"I8"},
    ),
    "a balance that never was": (with_operation(5, body=json.dumps({"balance": 41, "entry_count": 2})), {"I8"}),
    "entries that vanish": (with_operation(5, body=json.dumps({"balance": 100, "entry_count": 1})), {"I8"}),
    "one that cannot be found": (with_operation(4, status=404, outcome=Outcome.FAILED), {"I8"}),
    "a webhook that never came": (lambda e: replace(e, heard=e.heard[:3]), {"I9"}),
    "one that was never acknowledged": (
        lambda e: replace(e, heard=[*e.heard[:3], e.heard[3]._replace(acknowledged=False)]),
        {"I9"},
    ),
    "another body at the second attempt": (with_more(heard=[told("t1", body=b"[]")]), {"I9"}),
    "another id at the second attempt": (with_more(heard=[told("t1")._replace(event_id="evt_9")]), {"I9"}),
    "a bad signature": (with_more(heard=[told("t1")._replace(verified=False)]), {"I9"}),
    "an event that is not true": (with_more(heard=[told("t1", status="failed")]), {"I9"}),
    "one that is not for them": (with_more(heard=[told("t2", status="failed")]), {"I9"}),
    "a refusal that was none": (with_operation(3, outcome=Outcome.FAILED, status=409, retry_after=True), {"I10"}),
    "a defect": (with_operation(7, status=500, outcome=Outcome.UNKNOWN), {"I10"}),
    "a 503 that does not say when": (with_operation(7, status=503, outcome=Outcome.UNKNOWN), {"I10"}),
    "ready without PostgreSQL": (with_operation(8, status=200, outcome=Outcome.OK), {"I10"}),
    "what has grown": (with_more(unbounded=["99 connections"]), {"I11"}),
}


def violated(evidence: Evidence) -> set[str]:
    return {verdict.name for verdict in judge(evidence) if verdict.violations}


def test_a_sound_run_is_found_sound() -> None:
    verdicts = judge(sound())
    assert [verdict.name for verdict in verdicts] == [f"I{number}" for number in range(1, 12)]
    assert not [verdict for verdict in verdicts if verdict.violations]


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_is_found(planted: str) -> None:
    plant, by = PLANTED[planted]
    assert violated(plant(sound())) == by


def test_a_poisoned_transfer_may_end_as_unprocessable() -> None:
    evidence = with_row(1, endings=("unprocessable",))(sound())
    assert violated(replace(evidence, poisoned=frozenset({"t2"}))) == set()


def test_what_was_given_up_need_not_be_told() -> None:
    evidence = replace(sound(), heard=sound().heard[:3], exhausted=frozenset({(1, "t4")}))
    assert violated(evidence) == set()


def test_the_order_begins_with_the_first_attempt() -> None:
    """A request whose outcome was unknown may have been accepted long before the attempt that was answered."""
    early = replace(accepted(0, "k2", "t2", at=0.1, amount=60), outcome=Outcome.UNKNOWN, status=None, body=None)
    evidence = swapped(sound())
    assert violated(replace(evidence, operations=[early, *evidence.operations])) == set()


def test_a_history_is_written_as_it_happens() -> None:
    file = io.StringIO()
    history = History(file=file)
    asked = history.invoke(Kind.SUBMIT, about="k1", person=3, asked={"amount": 1})
    refused = '{"code": "queue_unavailable"}'
    history.answered(asked, outcome=Outcome.FAILED, status=503, body=refused, headers={"retry-after": "1"})
    invoked, answered = map(json.loads, file.getvalue().splitlines())
    assert (invoked["is"], invoked["kind"], invoked["about"]) == ("invoke", "submit", "k1")
    assert (answered["is"], answered["status"], answered["code"]) == ("failed", 503, "queue_unavailable")
    assert invoked["number"] == answered["number"] == 0
