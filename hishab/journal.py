"""Keep beside a file of payments what became of each row: the results people read, and the record a re-run trusts."""

import asyncio
import csv
import fcntl
import io
import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from hishab.data_directory import sync_directory

REFUSED = "refused"
"""The status of a row that the server did not accept: there is no transfer, so the next run sends it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of one row: `transfer_id` is empty where it was refused, `failure_code` where it did not fail."""

    row: int
    reference: str
    transfer_id: str
    status: str
    failure_code: str


class JournalUnusableError(Exception):
    """The results file cannot be written to: something else stands there, or another submit is at work on it."""


def results_path(path: Path) -> Path:
    """Return where the results of a file go: `orders.results.csv` beside `orders.csv`."""
    stem = path.stem if path.suffix.lower() == ".csv" else path.name
    return path.with_name(f"{stem}.results.csv")


class Journal:
    """The open results file, locked against a second writer.

    `records` holds the last record of each row, by its number.

    Raises:
        JournalUnusableError: It is in use, or is no results file.
        OSError: It cannot be opened, read or made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open_locked(path)
        self.records: dict[int, Record] = {}
        self._lines: deque[bytes] = deque()
        self._failure: OSError | None = None
        # One thread, so that what it has begun is finished before it looks at the next.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Finish what was begun, and let go of the file."""
        self._writer.shutdown(wait=True)
        os.close(self._file)

    async def append(self, record: Record) -> None:
        """Write a record and return once it is on disk. Records that arrive during one sync share the next.

        Raises:
            OSError: The disk did not take it. No later record is taken either, since a gap would be read as its end.
        """
        self._lines.append(_line(record))
        await asyncio.get_running_loop().run_in_executor(self._writer, self._flush)
        self.records[record.row] = record

    def rewrite(self, records: Iterable[Record]) -> None:
        """Put these records, in their order, in the place of the file: all of them or, after a crash, none."""
        draft = self._path.with_name(f"{self._path.name}.draft")
        with draft.open("wb") as file:
            file.write(_HEADER + b"".join(map(_line, records)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        sync_directory(self._path.parent)

    def _load(self) -> None:
        content = _read_whole(self._file)
        *lines, torn = content.split(b"\n")
        if not lines and _HEADER.startswith(torn):
            os.ftruncate(self._file, 0)
            self._write(_HEADER)
            sync_directory(self._path.parent)
            return
        if not lines or lines[0] + b"\n" != _HEADER:
            raise JournalUnusableError(f"{self._path} is not a results file of hishab submit. Move it away.")
        for number, line in enumerate(lines[1:], start=2):
            self._load_line(line, number=number)
        # A crash in the middle of an append leaves half a line: its row is not on record, and is asked for again.
        os.ftruncate(self._file, len(content) - len(torn))

    def _load_line(self, line: bytes, *, number: int) -> None:
        try:
            row, reference, transfer_id, status, failure_code = next(csv.reader([line.decode()], strict=True))
            record = Record(
                row=int(row), reference=reference, transfer_id=transfer_id, status=status, failure_code=failure_code
            )
        except (ValueError, StopIteration, csv.Error) as error:
            raise JournalUnusableError(f"{self._path}, line {number}: cannot be read. Move the file away.") from error
        self.records[record.row] = record

    def _flush(self) -> None:
        if self._failure is not None:
            raise self._failure
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        try:
            self._write(b"".join(lines))
        except OSError as error:
            self._failure = error
            raise

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)


def _open_locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise JournalUnusableError(f"{path} is in use: another hishab submit is at work on this file.") from None
        # Its last owner may have put the final results in its place between our two calls: then we hold a ghost.
        if _is_at(path, file=file):
            return file
        os.close(file)


def _is_at(path: Path, *, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _read_whole(file: int) -> bytes:
    with open(file, "rb", closefd=False) as reader:
        return reader.read()


def _line(record: Record) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(astuple(record))
    return text.getvalue().encode()


_HEADER = (",".join(field.name for field in fields(Record)) + "\n").encode()
