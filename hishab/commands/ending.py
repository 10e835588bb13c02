"""Say how a command ended: words or JSON on standard output, complaints on standard error, and the exit code."""

import json
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import IntEnum

import typer

from hishab.connection import NotRunningError
from hishab.csv_file import Fault, MalformedFileError, UnreadableFileError
from hishab.data_directory import CannotStartError
from hishab.errors import DeniedError, HishabError
from hishab.interruption import SignalledError
from hishab.journal import JournalUnusableError

FAULTS_SHOWN_MAX = 1_000
"""More would scroll the first ones out of sight. Source: decision."""


class ExitCode(IntEnum):
    """What a script may rely on."""

    FAILED = 1
    """The work was done; some row failed, or the ledger does not hold."""
    MALFORMED = 2
    """The file, the command line or what surrounds it has to be mended first."""
    UNFINISHED = 3
    """Hishab could not be reached, or not to the end. Running the same again is safe."""
    INTERRUPTED = 130
    """By Ctrl-C. The number is the shell's for it."""


OTHER_KEY = "Ask whoever runs this Hishab for an API key that may do this."
RERUN = "Run the same command again: nothing is sent twice."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What one kind of trouble means to a script (`code`, unless the server gave its own) and to people (`advice`)."""

    exit_code: ExitCode
    code: str
    advice: str = ""


# The first that fits is taken.
ENDINGS: Mapping[type[BaseException], Ending] = {
    MalformedFileError: Ending(exit_code=ExitCode.MALFORMED, code="malformed_file"),
    UnreadableFileError: Ending(exit_code=ExitCode.MALFORMED, code="unreadable_file"),
    JournalUnusableError: Ending(exit_code=ExitCode.MALFORMED, code="results_unusable"),
    CannotStartError: Ending(exit_code=ExitCode.MALFORMED, code="cannot_start"),
    NotRunningError: Ending(exit_code=ExitCode.UNFINISHED, code="not_running"),
    DeniedError: Ending(exit_code=ExitCode.UNFINISHED, code="denied", advice=OTHER_KEY),
    HishabError: Ending(exit_code=ExitCode.UNFINISHED, code="no_answer", advice=RERUN),
    OSError: Ending(exit_code=ExitCode.UNFINISHED, code="file_error", advice=RERUN),
    SignalledError: Ending(exit_code=ExitCode.INTERRUPTED, code="interrupted"),
    KeyboardInterrupt: Ending(exit_code=ExitCode.INTERRUPTED, code="interrupted", advice=RERUN),
}


@contextmanager
def plain_speech(*, as_json: bool) -> Generator[None]:
    """Turn what a user can bring about into a sentence and an exit code. A defect of ours keeps its traceback."""
    try:
        yield
    except tuple(ENDINGS) as error:
        ending = next(ending for kind, ending in ENDINGS.items() if isinstance(error, kind))
        code = (error.code if isinstance(error, HishabError) else "") or ending.code
        message = "\n".join(part for part in (_sentence(error), ending.advice) if part)
        _complain(
            message, code=code, faults=error.faults if isinstance(error, MalformedFileError) else (), as_json=as_json
        )
        # By the shell's custom: 143 for SIGTERM.
        raise typer.Exit(128 + error.number if isinstance(error, SignalledError) else ending.exit_code) from error


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error) or "Interrupted."


def print_faults(faults: Sequence[Fault]) -> None:
    """Name each row on standard error, up to a number that somebody may still read."""
    for fault in faults[:FAULTS_SHOWN_MAX]:
        print(f"  {fault}", file=sys.stderr)
    if len(faults) > FAULTS_SHOWN_MAX:
        print(f"  and {len(faults) - FAULTS_SHOWN_MAX} more", file=sys.stderr)


def print_failures(failures: Mapping[str, int]) -> None:
    """Print how many rows failed, by code, indented below their sum."""
    for code, rows in failures.items():
        print(f"    {code:<30}{rows:>8}")


def faults_as_json(faults: Sequence[Fault]) -> list[dict[str, object]]:
    """Return faults for a JSON document: all of them."""
    return [asdict(fault) for fault in faults]


def _complain(message: str, *, code: str, faults: Sequence[Fault], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": {"code": code, "message": message, "faults": faults_as_json(faults)}}, indent=2))
        return
    print(message, file=sys.stderr)
    print_faults(faults)
