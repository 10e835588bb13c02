"""Read a CSV file that people made, and name every line that is not what it should be."""

import csv
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FILE_BYTES_MAX = 256 * 1024 * 1024
"""The whole file is held in memory, some three million payments at this size. Source: decision."""

# Bytes that are no UTF-8 come out of `surrogateescape` as these, so that one bad cell names its line, not the file.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a file. Lines count from 1, the header's; rows from 1, the first below it.

    `line` is None for a row that is not in the file any more.
    """

    line: int | None
    row: int | None
    column: str | None
    what: str

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line is not None else ""
        row = f"row {self.row}" if self.row is not None else ""
        where = f"{line} ({row})" if line and row else line or row
        return f"{where}: {self.column + ' ' if self.column else ''}{self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row under the header: its fields by column, without surrounding blanks."""

    line: int
    number: int
    fields: Mapping[str, str]

    def fault(self, what: str, *, column: str | None = None) -> Fault:
        """Return what is wrong with this row, or with one column of it."""
        return Fault(line=self.line, row=self.number, column=column, what=what)


class MalformedFileError(Exception):
    """A file cannot be worked with as it is; nothing was sent. `faults` names every line that has to be mended."""

    def __init__(self, path: Path, *, faults: Sequence[Fault]) -> None:
        super().__init__(f"{path}: {len(faults)} thing{'s' if len(faults) > 1 else ''} to mend, nothing was sent")
        self.path = path
        self.faults = sorted(faults, key=lambda fault: (fault.line or sys.maxsize, fault.row or 0))


class UnreadableFileError(Exception):
    """A file is not there, or not to be read; nothing was sent."""

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(f"{path} cannot be read ({reason}): name a CSV file that can. Nothing was sent.")


def read_rows(path: Path, *, columns: Sequence[str]) -> tuple[list[Row], list[Fault]]:
    """Read the rows of a CSV file (UTF-8, with or without a byte order mark, commas, a header).

    Args:
        columns: What the header must name, in any order; columns beyond these are ignored.

    Returns:
        The rows whose shape is right, and what is wrong with the others.

    Raises:
        MalformedFileError: The header is not usable, so nothing can be said about the rows; or the file is too big.
        UnreadableFileError: The file cannot be read.
    """
    records = _records(_text(path))
    names = _header(path, record=next(records, None), columns=columns)
    faults: list[Fault] = []
    rows: list[Row] = []
    for number, (line, cells) in enumerate(records, start=1):
        if isinstance(cells, Fault):
            faults.append(Fault(line=line, row=number, column=None, what=cells.what))
            continue
        row = Row(line=line, number=number, fields=dict(zip(names, map(str.strip, cells), strict=False)))
        wrong = _shape_faults(row, cells=cells, names=names)
        faults += wrong
        if not wrong:
            rows.append(row)
    return rows, faults


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UnreadableFileError(path, reason=error.strerror or str(error)) from error
    if len(content) > FILE_BYTES_MAX:
        too_big = Fault(line=1, row=None, column=None, what=f"the file is larger than {FILE_BYTES_MAX} bytes: split it")
        raise MalformedFileError(path, faults=[too_big])
    return content.decode("utf-8-sig", errors="surrogateescape")


def _records(text: str) -> Iterator[tuple[int, list[str] | Fault]]:
    """Yield each record that is not blank with the line it starts on; a fault in place of one that is no CSV."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, Fault(line=line, row=None, column=None, what=f"is not CSV: {error}")
            continue
        if cells:
            yield line, cells


def _header(path: Path, *, record: tuple[int, list[str] | Fault] | None, columns: Sequence[str]) -> list[str]:
    line, cells = record or (1, [])
    if isinstance(cells, Fault):
        raise MalformedFileError(path, faults=[cells])
    names = [cell.strip() for cell in cells]
    if any(_NOT_UTF8.search(name) or _CONTROL.search(name) for name in names):
        wrong = ["is not text in UTF-8"]
    else:
        wrong = [f"column {column} is missing" for column in columns if column not in names]
        wrong += [f"column {column} is there twice" for column in columns if names.count(column) > 1]
    if wrong:
        raise MalformedFileError(path, faults=[Fault(line=line, row=None, column=None, what=what) for what in wrong])
    return names


def _shape_faults(row: Row, *, cells: Sequence[str], names: Sequence[str]) -> list[Fault]:
    if len(cells) != len(names):
        return [row.fault(f"has {len(cells)} field{'s' if len(cells) > 1 else ''}, the header has {len(names)}")]
    broken = [row.fault("is not text in UTF-8", column=name) for name in names if _NOT_UTF8.search(row.fields[name])]
    control = [
        row.fault("holds a NUL or another control character", column=name)
        for name in names
        if _CONTROL.search(row.fields[name])
    ]
    return broken + control
