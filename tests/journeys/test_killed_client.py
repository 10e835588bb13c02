"""Kill a paying program between its sending and its reading of the answer: started again, it has paid once."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.callers import PIN, Person, ended
from tests.chaos.relay import holding_back
from tests.eventually import eventually
from tests.journeys.pages import write_programs
from tests.running_system import System

PAGE = "docs/write-a-client.md"
END_SECONDS_MAX = 60.0


def paying(
    payer: Person, payee: Person, *, directory: Path
) -> "Callable[[str], AbstractContextManager[subprocess.Popen[str]]]":
    """Return what runs the program of our documentation, against a URL, and leaves nothing of it behind."""
    write_programs(PAGE, directory=directory)

    @contextmanager
    def start(url: str) -> "Generator[subprocess.Popen[str]]":
        surroundings = {"HISHAB_URL": url, "HISHAB_EMAIL": payer.email, "HISHAB_PIN": PIN}
        with subprocess.Popen(
            [sys.executable, "pay.py", "order-7", payee.email, "700"],
            cwd=directory,
            env={**os.environ, **surroundings},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return start


def test_pays_once(system: System, payer: Person, payee: Person, tmp_path: Path) -> None:
    start = paying(payer, payee, directory=tmp_path)
    with holding_back(system.url, requests=b"POST /v1/transfers ") as (relay, url):
        with start(url) as killed:
            assert relay.caught.wait(END_SECONDS_MAX)
            killed.kill()
            said_before, _ = killed.communicate(timeout=END_SECONDS_MAX)
        relay.mend()
        with start(url) as again:
            said, _ = again.communicate(timeout=END_SECONDS_MAX)
    assert (said_before, said) == ("", "accepted before\nsucceeded \n")
    sent = payer.http.get("/v1/transfers", params={"reference": "order-7"}).json()["data"]
    assert len(sent) == 1
    assert ended(payer.http, sent[0]["id"])["status"] == "succeeded"
    assert (payer.balance_minor, payee.balance_minor) == (499_300, 500_700)


def test_pays_although_it_was_killed_before_anything_arrived(
    system: System, payer: Person, payee: Person, tmp_path: Path
) -> None:
    start = paying(payer, payee, directory=tmp_path)
    with holding_back(system.url, requests=b"POST /v1/token ") as (relay, url):
        with start(url) as killed:
            assert relay.caught.wait(END_SECONDS_MAX)
            eventually((tmp_path / "payments.db").exists)
            killed.kill()
        relay.mend()
        with start(url) as again:
            said, _ = again.communicate(timeout=END_SECONDS_MAX)
    assert said == "accepted now\nsucceeded \n"
    assert (payer.balance_minor, payee.balance_minor) == (499_300, 500_700)
