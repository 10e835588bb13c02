"""Does the bench find what a ledger does wrong? Each fault is planted into a ledger that has none."""

from dataclasses import asdict, dataclass, field, replace

from tests.clerk import Balance
from tests.load.checker import Entry, Faults, Row, Sent, check

FAULTLESS = Faults(checked=4, refused=1)


@dataclass(frozen=True)
class Ledger:
    """Two transfers out of `a`, one that `b` has no funds for, and one into `b` before another out of it."""

    rows: tuple[Row, ...] = (
        Row("t1", "k1", "a", "b", 10, (None,), 1),
        Row("t2", "k2", "a", "c", 10, (None,), 2),
        Row("t3", "k3", "b", "c", 11, ("insufficient_funds",), 3),
        Row("t4", None, "b", "c", 10, (None,), 4),
    )
    entries: tuple[Entry, ...] = (
        Entry("a", "t1", -10),
        Entry("a", "t2", -10),
        Entry("b", "t1", 10),
        Entry("b", "t4", -10),
        Entry("c", "t2", 10),
        Entry("c", "t4", 10),
    )
    sent: tuple[Sent, ...] = (
        Sent("k1", "t1", 1, 3),
        Sent("k2", "t2", 2, 4),
        Sent("k3", "t3", 5, 6),
        Sent("k4", "t4", 7, 8),
    )
    before: dict[str, Balance] = field(
        default_factory=lambda: {"a": Balance(20, 0), "b": Balance(0, 0), "c": Balance(0, 0)}
    )
    violations: tuple[str, ...] = ()

    def checked(self) -> Faults:
        return check(self.rows, entries=self.entries, before=self.before, sent=self.sent, violations=self.violations)


def found(ledger: Ledger) -> dict[str, int]:
    """What is wrong with it, by kind."""
    kinds = asdict(ledger.checked())
    return {kind: kinds[kind] for kind in kinds.keys() - {"checked", "refused", "named"} if kinds[kind]}


def test_a_faultless_ledger_is_found_faultless() -> None:
    assert Ledger().checked() == FAULTLESS
    assert Ledger().checked().count == 0


def test_an_accepted_transfer_that_is_not_there_is_lost() -> None:
    ledger = Ledger()
    assert found(replace(ledger, sent=(*ledger.sent, Sent("k5", "t5", 9, 10)))) == {"lost": 1}


def test_a_transfer_under_another_key_than_it_was_answered_with_is_lost() -> None:
    ledger = Ledger()
    sent = (ledger.sent[0]._replace(key="k9"), *ledger.sent[1:])
    assert found(replace(ledger, sent=sent)) == {"lost": 1}


def test_a_transfer_that_has_not_ended_is_lost() -> None:
    ledger = Ledger()
    rows = (*ledger.rows[:3], ledger.rows[3]._replace(endings=()))
    assert found(replace(ledger, rows=rows)) == {"lost": 1}


def test_a_transfer_that_has_ended_twice_is_doubled() -> None:
    ledger = Ledger()
    rows = (ledger.rows[0]._replace(endings=(None, None)), *ledger.rows[1:])
    assert found(replace(ledger, rows=rows)) == {"doubled": 1}


def test_money_that_has_moved_twice_is_doubled() -> None:
    ledger = Ledger()
    assert found(replace(ledger, entries=(*ledger.entries, Entry("c", "t4", 10)))) == {"doubled": 1}


def test_a_key_that_was_answered_with_two_transfers_is_doubled() -> None:
    ledger = Ledger()
    rows = (*ledger.rows, Row("t5", None, "a", "b", 99, ("insufficient_funds",), 5))
    assert found(replace(ledger, rows=rows, sent=(*ledger.sent, Sent("k1", "t5", 9, 10)))) == {"doubled": 1}


def test_a_key_that_was_answered_twice_with_the_same_transfer_is_a_replay() -> None:
    ledger = Ledger()
    assert found(replace(ledger, sent=(*ledger.sent, Sent("k1", "t1", 9, 10)))) == {}


def test_entries_that_stand_in_another_order_than_the_endings_are_out_of_order() -> None:
    ledger = Ledger()
    entries = (ledger.entries[1], ledger.entries[0], *ledger.entries[2:])
    assert found(replace(ledger, entries=entries)) == {"out_of_order": 1}


def swapped(ledger: Ledger) -> Ledger:
    """The same, but that the second transfer out of `a` was applied before the first."""
    first, second, *others = ledger.rows
    rows = (first._replace(turn=2), second._replace(turn=1), *others)
    return replace(ledger, rows=rows, entries=(ledger.entries[1], ledger.entries[0], *ledger.entries[2:]))


def test_what_was_applied_before_something_answered_when_it_was_sent_is_out_of_order() -> None:
    ledger = swapped(Ledger())
    sent = (ledger.sent[0], ledger.sent[1]._replace(sent_seconds=3.5), *ledger.sent[2:])
    assert found(replace(ledger, sent=sent)) == {"out_of_order": 1}


def test_what_was_under_way_at_the_same_time_may_be_applied_either_way() -> None:
    assert found(swapped(Ledger())) == {}


def test_items_of_a_batch_that_are_applied_in_another_order_than_listed_are_out_of_order() -> None:
    ledger = Ledger()
    sent = (Sent("k1", "t1", 1, 3), Sent("k2", "t2", 1, 3), *ledger.sent[2:])
    assert found(replace(ledger, sent=sent)) == {}
    assert found(replace(swapped(ledger), sent=sent)) == {"out_of_order": 1}


def test_without_requests_what_is_applied_in_another_order_than_accepted_is_out_of_order() -> None:
    assert found(replace(swapped(Ledger()), sent=())) == {"out_of_order": 1}
    assert found(replace(Ledger(), sent=())) == {}


def test_what_was_accepted_before_something_that_had_been_answered_earlier_is_out_of_order() -> None:
    ledger = Ledger()
    sent = (*ledger.sent[:2], Sent("k3", "t3", 9, 10), ledger.sent[3])
    rows = (*ledger.rows[:3], ledger.rows[3]._replace(source="c", destination="a"))
    entries = (*ledger.entries[:3], Entry("c", "t2", 10), Entry("c", "t4", -10), Entry("a", "t4", 10))
    assert found(replace(ledger, rows=rows, entries=entries, sent=sent)) == {"out_of_order": 1}


def test_what_was_under_way_at_the_same_time_has_no_order() -> None:
    ledger = Ledger()
    sent = (Sent("k1", "t1", 1, 4), Sent("k2", "t2", 1, 2), *ledger.sent[2:])
    assert found(replace(ledger, sent=sent)) == {}


def test_a_refusal_in_spite_of_funds_is_wrong() -> None:
    ledger = Ledger()
    rows = (*ledger.rows[:3], ledger.rows[3]._replace(endings=("insufficient_funds",)))
    assert found(replace(ledger, rows=rows)) == {"wrongly_refused": 1}


def test_a_payment_without_funds_is_wrong() -> None:
    ledger = Ledger()
    rows = (*ledger.rows[:2], ledger.rows[2]._replace(endings=(None,)), ledger.rows[3])
    assert found(replace(ledger, rows=rows)) == {"wrongly_paid": 1}


def test_a_wallet_without_floor_may_always_pay() -> None:
    ledger = Ledger()
    rows = (*ledger.rows[:2], ledger.rows[2]._replace(endings=(None,)), ledger.rows[3])
    assert found(replace(ledger, rows=rows, before={**ledger.before, "b": Balance(0, None)})) == {}


def test_what_the_audit_found_counts_and_is_named() -> None:
    faults = replace(Ledger(), violations=("the sum of CZK is 1",)).checked()
    assert faults.violations == faults.count == 1
    assert faults.named == ("violations: the sum of CZK is 1",)


def test_findings_are_added_up() -> None:
    one, other = Faults(checked=4, lost=1, named=("lost: x",)), Faults(checked=3, lost=2, named=("lost: y",))
    assert one.plus(other) == Faults(checked=7, lost=3, named=("lost: x", "lost: y"))
