"""Hold the results file to what a re-run needs of it: what was written is there, whatever happened since."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hishab.journal import Journal, JournalUnusableError, Record, results_path

HEADER = b"row,reference,transfer_id,status,failure_code\n"


def record(row: int, **fields: str) -> Record:
    usual = {"reference": "rent", "transfer_id": f"t{row}", "status": "queued", "failure_code": ""}
    return Record(row=row, **(usual | fields))


def append_all(journal: Journal, records: list[Record]) -> None:
    async def append() -> None:
        await asyncio.gather(*map(journal.append, records))

    asyncio.run(append())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.results.csv"


class TestResultsPath:
    def test_stands_beside_the_file(self) -> None:
        assert results_path(Path("a/orders.csv")) == Path("a/orders.results.csv")
        assert results_path(Path("a/ORDERS.CSV")) == Path("a/ORDERS.results.csv")
        assert results_path(Path("a/orders.2026")) == Path("a/orders.2026.results.csv")


class TestAppend:
    def test_has_the_record_in_the_file_when_it_returns(self, path: Path) -> None:
        with Journal(path) as journal:
            append_all(journal, [record(2, reference='a "b", c')])
            assert path.read_bytes() == HEADER + b'2,"a ""b"", c",t2,queued,\n'

    def test_syncs_once_for_all_that_arrive_meanwhile(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[int] = []
        sync: Callable[[int], None] = os.fsync

        def count(file: int) -> None:
            synced.append(len(path.read_bytes()))
            sync(file)

        monkeypatch.setattr(os, "fsync", count)
        records = [record(row) for row in range(1, 501)]
        with Journal(path) as journal:
            synced.clear()
            append_all(journal, records)
        assert synced[-1] == len(path.read_bytes())
        assert 1 <= len(synced) < 100

    def test_is_read_by_the_next_one(self, path: Path) -> None:
        with Journal(path) as journal:
            append_all(journal, [record(1), record(2, transfer_id="", status="refused", failure_code="same_wallet")])
        with Journal(path) as journal:
            append_all(journal, [record(2, transfer_id="t9")])
        with Journal(path) as journal:
            assert journal.records == {1: record(1), 2: record(2, transfer_id="t9")}

    def test_takes_nothing_more_once_the_disk_refused(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def is_full(file: int, content: bytes) -> int:
            raise OSError(28, "No space left on device")

        with Journal(path) as journal:
            monkeypatch.setattr(os, "write", is_full)
            with pytest.raises(OSError, match="No space"):
                append_all(journal, [record(1)])
            monkeypatch.undo()
            with pytest.raises(OSError, match="No space"):
                append_all(journal, [record(2)])
        assert path.read_bytes() == HEADER


class TestAfterACrash:
    @pytest.mark.parametrize("torn", [b"2", b'2,"ren', b"2,rent,t2,queued,", b"\0\0\0\0", b"2,rent,t2\xe0"])
    def test_drops_half_a_line_and_goes_on_behind_the_whole_ones(self, path: Path, torn: bytes) -> None:
        path.write_bytes(HEADER + b"1,rent,t1,queued,\n" + torn)
        with Journal(path) as journal:
            assert journal.records == {1: record(1)}
            append_all(journal, [record(2)])
        assert path.read_bytes() == HEADER + b"1,rent,t1,queued,\n2,rent,t2,queued,\n"

    @pytest.mark.parametrize("length", [0, 1, len(HEADER) - 1])
    def test_begins_anew_where_not_even_the_header_was_whole(self, path: Path, length: int) -> None:
        path.write_bytes(HEADER[:length])
        with Journal(path) as journal:
            assert journal.records == {}
        assert path.read_bytes() == HEADER


class TestRewrite:
    def test_puts_the_last_word_in_place_of_the_file(self, path: Path) -> None:
        with Journal(path) as journal:
            append_all(journal, [record(2), record(1)])
            journal.rewrite(
                [record(1, status="succeeded"), record(2, status="failed", failure_code="insufficient_funds")]
            )
        assert path.read_bytes() == HEADER + b"1,rent,t1,succeeded,\n2,rent,t2,failed,insufficient_funds\n"
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]


class TestOpening:
    def test_refuses_a_second_writer(self, path: Path) -> None:
        with Journal(path), pytest.raises(JournalUnusableError, match="another hishab submit"):
            Journal(path)

    def test_lets_the_next_in_once_the_first_has_gone(self, path: Path) -> None:
        with Journal(path) as journal:
            journal.rewrite([record(1)])
        with Journal(path) as journal:
            assert journal.records == {1: record(1)}

    @pytest.mark.parametrize(
        "content",
        [b"a,b\n1,2\n", b"my notes", HEADER + b"x,y\n" + b"1,rent,t1,queued,\n", HEADER + b"one,rent,t1,queued,\n"],
    )
    def test_leaves_alone_what_is_not_its_own(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(JournalUnusableError, match=r"[Mm]ove"):
            Journal(path)
        assert path.read_bytes() == content
