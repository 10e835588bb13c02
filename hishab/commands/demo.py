"""`hishab demo`: show in a minute what Hishab is for, on a system that comes and goes with the command."""

import json
import os
from typing import Final

import typer

from hishab.commands.ending import ExitCode, plain_speech
from hishab.commands.options import AsJson
from hishab.demo.document import document
from hishab.demo.play import play
from hishab.demo.story import Audience, Story
from hishab.interruption import run_until_signal

OPENING: Final = """\
Hishab moves money between wallets, asynchronously and exactly once. This starts
a whole one in a temporary directory, uses it, kills its worker in the middle,
checks everything that comes out, and removes all of it again."""

NEXT: Final = "Next: make up starts one that stays, and README.md has a first transfer."


def run(*, as_json: AsJson = False) -> None:
    """See Hishab at work for a minute, on a system of its own, and checked.

    Twelve people send each other a few thousand transfers, the worker is
    killed with -9 in the middle, and then balances, a statement, a refused
    transfer and the audit are shown. Leaves nothing behind.

    Exit code: 0 all was as promised, 1 something was not (it is named), 2 it
    could not start, 3 it did not get to its end, 130 interrupted.

    Example: hishab demo
    """
    # The one document goes to standard output, so the story is told beside it.
    story = Story(Audience(stderr=as_json))
    with plain_speech(as_json=as_json):
        story.outside(OPENING)
        seen, found = run_until_signal(play(environment=os.environ, story=story))
    holds = all(finding.holds for finding in found)
    if as_json:
        print(json.dumps(document(seen, found=found, seconds=story.seconds), indent=2))
    story.outside("")
    story.verdict(
        "Everything was as promised." if holds else "NOT EVERYTHING WAS AS PROMISED.",
        f"{story.seconds:.0f} s in all; the system is stopped, and its directory removed.",
        holds=holds,
    )
    story.outside(f"\n{NEXT}")
    if not holds:
        raise typer.Exit(ExitCode.FAILED)
