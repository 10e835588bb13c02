"""Start a whole Hishab, keep it running, and stop it in good order: the use case of `hishab up`."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final

import httpx2

from hishab.data_directory import CannotStartError, DataDirectory, Running, taken
from hishab.given_servers import require_answers
from hishab.launch_plan import MODULES, NAMES, LaunchPlan, Wishes, launch_plan
from hishab.leftovers import stop_leftovers
from hishab.part_log import PartLog, wants_colour
from hishab.supervise import PartFailedError, Supervisor, supervised

SERVING: Final = ("api", "lanes", "webhooks", "upkeep")
STOP_ORDER: Final = (("api",), ("lanes", "webhooks", "upkeep"), ("broker",), ("postgres",))

READY_POLL_SECONDS: Final = 0.05
READY_ANSWER_SECONDS_MAX: Final = 2.0
# How often a start that takes long says what it waits for.
READY_NEWS_SECONDS: Final = 10.0
READY_NEWS_LENGTH_MAX: Final = 300

EXIT_PART_FAILED: Final = 1
EXIT_CANNOT_START: Final = 2


def up(wishes: Wishes, *, environment: Mapping[str, str]) -> int:
    """Run a Hishab until it is told to stop; give the exit code."""
    log = PartLog(sys.stderr, names=NAMES, coloured=wants_colour(sys.stderr, environment=environment))
    try:
        with taken(wishes.data_dir) as directory:
            return asyncio.run(_run(wishes, directory=directory, environment=environment, log=log))
    except CannotStartError as error:
        print(error, file=sys.stderr)
        return EXIT_CANNOT_START


async def _run(wishes: Wishes, *, directory: DataDirectory, environment: Mapping[str, str], log: PartLog) -> int:
    await asyncio.to_thread(require_answers, wishes)
    await stop_leftovers(directory, marks=_marks(directory), log=log)
    plan = launch_plan(wishes, directory=directory, environment=environment)
    report = partial(_report, plan=plan, directory=directory, log=log)
    exit_code = 0
    try:
        async with supervised(log=log, report=report, stop_order=STOP_ORDER) as supervisor:
            key_is_new = await _start(supervisor, plan=plan, directory=directory)
            await _until_ready(plan.url, log=log)
            _announce(plan.url, directory=directory, key_is_new=key_is_new, as_json=wishes.as_json)
        log.say("Stopped.")
    except* PartFailedError as failures:
        exit_code = EXIT_PART_FAILED
        _show_last_words(failures, log=log)
    except* CannotStartError as failures:
        exit_code = EXIT_CANNOT_START
        log.say(str(failures.exceptions[0]))
    finally:
        directory.withdraw()
    return exit_code


async def _start(supervisor: Supervisor, *, plan: LaunchPlan, directory: DataDirectory) -> bool:
    for server in plan.servers:
        await asyncio.to_thread(server.make_ready)
        supervisor.keep(server.part)
    await supervisor.run(plan.part("migrate"))
    for name in SERVING:
        supervisor.keep(plan.part(name))
    key_is_new = not directory.operator_key.exists()
    await supervisor.run(plan.part("bootstrap", "--key-file", str(directory.operator_key), silent=True))
    return key_is_new


async def _until_ready(url: str, *, log: PartLog) -> None:
    loop = asyncio.get_running_loop()
    news_at = loop.time() + READY_NEWS_SECONDS
    async with httpx2.AsyncClient(timeout=READY_ANSWER_SECONDS_MAX, trust_env=False) as client:
        while news := await _not_ready(client, url=url):
            if loop.time() >= news_at:
                log.say(f"Not ready yet: {news[:READY_NEWS_LENGTH_MAX]}")
                news_at += READY_NEWS_SECONDS
            await asyncio.sleep(READY_POLL_SECONDS)


async def _not_ready(client: httpx2.AsyncClient, *, url: str) -> str | None:
    try:
        answer = await client.get(f"{url}/readyz")
    except httpx2.HTTPError as error:
        return f"{url} does not answer ({type(error).__name__})."
    return None if answer.status_code == HTTPStatus.OK else f"{answer.status_code} {answer.text}"


def _announce(url: str, *, directory: DataDirectory, key_is_new: bool, as_json: bool) -> None:
    key = directory.operator_key.read_text(encoding="ascii").strip() if key_is_new else None
    docs = f"{url}/docs"
    if as_json:
        places = {"url": url, "docs": docs, "data_dir": str(directory.path)}
        news = json.dumps({**places, "operator_key_file": str(directory.operator_key), "operator_key": key})
    else:
        key_news = f"The operator's API key, shown only now and kept in {directory.operator_key}:\n\n    {key}\n\n"
        news = f"{key_news if key else ''}Hishab is serving on {url}; docs at {docs}"
    with suppress(BrokenPipeError):
        print(news, flush=True)


def _report(pids: Mapping[str, int], *, plan: LaunchPlan, directory: DataDirectory, log: PartLog) -> None:
    urls = {"url": plan.url, "database_url": plan.database_url, "broker_url": plan.broker_url}
    try:
        directory.announce(Running(pid=os.getpid(), parts=pids, **urls))
    except OSError as error:
        # A full disk is no reason to end what still serves.
        log.say(f"Other commands cannot be told where the parts are now: {error}")


def _marks(directory: DataDirectory) -> dict[str, str]:
    modules = {name: " ".join(words) for name, words in MODULES.items()}
    return {**modules, "postgres": str(directory.postgres), "broker": str(directory.broker)}


def _show_last_words(failures: ExceptionGroup[PartFailedError], *, log: PartLog) -> None:
    for failure in failures.exceptions:
        assert isinstance(failure, PartFailedError)
        log.say(f"Ended, because {failure}. Its last words:")
        for line in failure.last_words:
            log.say(line, name=failure.part_name)
