"""Show in one minute what Hishab is for and why to trust it: the use case of `hishab demo`."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hishab.answers import Audit, Wallet
from hishab.audit import audit
from hishab.client import Client
from hishab.demo.evidence import Evidence, Finding, Outage, findings, outage, owed_events
from hishab.demo.mailbox import Mailbox
from hishab.demo.payments import NAMES, PAYMENTS, sendings
from hishab.demo.people import PATIENCE_SECONDS, Person, signed_up
from hishab.demo.pictures import SHOWN, show_balances, show_refused, show_statement
from hishab.demo.sending import all_ended, send_again, send_all
from hishab.demo.stage import Stage, last_words, temporary_stage
from hishab.demo.story import INDENT, Story, money
from hishab.listen import Listener
from hishab.progress import Progress

NEWS_SECONDS_MAX: Final = 60.0
"""How long the next event may keep us waiting."""

LOOK_SECONDS: Final = 0.05


async def play(*, environment: Mapping[str, str], story: Story) -> tuple[Evidence, list[Finding]]:
    """Bring a system up, use it, kill its worker, look at everything, and take it away again; tell it as it happens.

    Raises:
        CannotStartError: It does not come up.
        HishabError: As `Client` says.
    """
    story.chapter("Start PostgreSQL, a broker, the API and three workers")
    async with temporary_stage(environment=environment, complain=story.complain) as stage:
        story.say(f"All are up after {story.chapter_seconds:.1f} s.")
        mailbox = Mailbox()
        listener = Listener(port=0, forward_to=None, tell=mailbox.put)
        with listener.serving():
            story.chapter(f"Sign up {len(NAMES)} people, each with a webhook endpoint of their own")
            async with signed_up(stage.url, listener=listener) as people:
                _introduce(people, story=story)
                seen = await _used(stage, people=people, mailbox=mailbox, story=story)
        found = findings(seen)
        _show(seen, found=found, story=story)
        if not all(finding.holds for finding in found):
            story.complain(last_words(stage.log))
    return seen, found


def _introduce(people: Sequence[Person], *, story: Story) -> None:
    story.say(
        f"{', '.join(NAMES[:6])},",
        f"{', '.join(NAMES[6:-1])} and {NAMES[-1]}",
        f"have {money(people[0].granted_minor)} taka each, after {story.chapter_seconds:.1f} s.",
    )


async def _used(stage: Stage, *, people: Sequence[Person], mailbox: Mailbox, story: Story) -> Evidence:
    story.chapter(f"Have them send each other {PAYMENTS:,} transfers, and kill the worker meanwhile")
    # Chance makes a different crowd each time; it guards nothing.
    wanted = sendings(random.Random())  # noqa: S311
    with Progress(story.console) as progress:
        sent = await send_all(wanted, people=people, stage=stage, story=story, progress=progress)
        await send_again(wanted, sent=sent, people=people)
        await _told(PAYMENTS, count=lambda: mailbox.transfers, label="ended", progress=progress)
        ended = await all_ended(sent, people=people)
        owed = owed_events(ended, sent=sent)
        await _told(len(owed), count=lambda: mailbox.verified, label="told and verified", progress=progress)
    assert sent.kill is not None, "all have been accepted, so it was killed on the way"
    shown = people[SHOWN]
    seen = Evidence(
        people=people,
        sent=sent,
        ended=ended,
        events=mailbox.events(owed),
        outage=outage(sent.kill, successor_pid=stage.worker_id(), transfers=list(ended.values())),
        wallets={person.number: await _wallet(person) for person in people},
        statement=[entry async for entry in shown.client.iterate_entries(shown.wallet_id)],
        audit=await _audit(stage),
    )
    _show_outage(seen.outage, story=story)
    return seen


async def _told(total: int, *, count: Callable[[], int], label: str, progress: Progress) -> None:
    """Show how what has come approaches a total, until it does or nothing comes any more."""
    clock = asyncio.get_running_loop()
    progress.begin(f"{INDENT}{label}", total=total)
    seen, news_at = 0, clock.time()
    while seen < total and clock.time() - news_at < NEWS_SECONDS_MAX:
        await asyncio.sleep(LOOK_SECONDS)
        if (counted := count()) > seen:
            progress.advance(counted - seen)
            seen, news_at = counted, clock.time()


async def _wallet(person: Person) -> Wallet:
    wallet = await person.client.find_wallet(person.wallet_id)
    assert wallet is not None, "nobody's wallet goes away"
    return wallet


async def _audit(stage: Stage) -> Audit:
    async with Client(stage.url, api_key=stage.operator_key, patience_seconds=PATIENCE_SECONDS) as operator:
        return await audit(operator)


def _show(seen: Evidence, *, found: Sequence[Finding], story: Story) -> None:
    story.chapter("What they have now")
    show_balances(seen, story=story)
    story.say()
    show_statement(seen, story=story)
    story.say()
    show_refused(seen, story=story)
    story.chapter("What was promised, and what was found")
    for finding in found:
        story.verdict(*finding.lines, holds=finding.holds)


def _show_outage(seen: Outage, *, story: Story) -> None:
    story.say(
        f"{seen.accepted_meanwhile:,} more were accepted while it was dead: that takes no worker.",
        f"The next was applied {seen.delay_seconds:.1f} s after the kill, and process {seen.successor_pid} works on.",
        "At first one is applied, then two, then four: one may have killed the worker.",
        f"The slowest had ended {seen.wait_seconds_max:.1f} s after it had been accepted.",
    )
