"""Guess PINs: five failures and then one guess at a time, whoever is asked for, and nobody learns who exists."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from time import perf_counter

import httpx2
import pytest

from tests.access import execute, is_good, log_in_with, make_key, refresh_with, session_of
from tests.callers import PIN, Person, connected, problem_in
from tests.eventually import eventually
from tests.running_system import START_SECONDS_MAX, System

WRONG_PIN = "86420"
FAILURES_MAX = 5
SHOWN_TO_EVERYBODY = {"content-type", "cache-control", "retry-after"}


@pytest.fixture
def stranger() -> str:
    """An email that nobody has."""
    return f"{token_hex(8)}@example.org"


def guess(system: System, email: str) -> httpx2.Response:
    return log_in_with(system, email=email, pin=WRONG_PIN)


def lock_out(system: System, email: str) -> None:
    for _ in range(FAILURES_MAX):
        assert guess(system, email).status_code == 400
    problem_in(guess(system, email), status=429, code="too_many_attempts")


def wait_seconds(system: System, email: str) -> int:
    """Give how long this email has to wait."""
    answer = guess(system, email)
    problem_in(answer, status=429, code="too_many_attempts")
    return int(answer.headers["retry-after"])


def let_waits_pass(system: System, *, count: int) -> None:
    """Let the waits of all emails with so many failures pass."""
    execute(system, "UPDATE login_failures SET locked_until = now() WHERE failures = %s", [count])


class TestSignUp:
    @pytest.mark.parametrize("pin", ["12345", "00000", "11111", "99999", "54321", "01234", "13579"])
    def test_refuses_a_pin_that_anybody_would_try_first(self, system: System, stranger: str, pin: str) -> None:
        with connected(system, None) as http:
            answer = http.post("/v1/users", json={"name": "Rina", "email": stranger, "pin": pin})
        problem = problem_in(answer, status=422, code="validation_failed")
        assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/pin", "pin_too_common")]
        assert pin not in answer.text

    def test_that_is_sent_again_says_what_to_do(self, system: System, payer: Person) -> None:
        with connected(system, None) as http:
            answer = http.post("/v1/users", json={"name": "Rina", "email": payer.email, "pin": PIN})
        assert "log in" in problem_in(answer, status=409, code="email_taken")["detail"]


class TestGuessing:
    def test_stops_after_five_failures(self, system: System, payer: Person) -> None:
        lock_out(system, payer.email)
        answer = log_in_with(system, email=payer.email)
        problem_in(answer, status=429, code="too_many_attempts")
        assert 1 <= int(answer.headers["retry-after"]) <= 31

    def test_waits_twice_as_long_each_time(self, system: System, payer: Person) -> None:
        lock_out(system, payer.email)
        waits = [wait_seconds(system, payer.email)]
        for count in range(FAILURES_MAX, FAILURES_MAX + 3):
            let_waits_pass(system, count=count)
            assert guess(system, payer.email).status_code == 400
            waits.append(wait_seconds(system, payer.email))
        assert all(limit - 25 < wait <= limit + 1 for wait, limit in zip(waits, (30, 60, 120, 240), strict=True)), waits

    def test_is_forgotten_after_a_success(self, system: System, payer: Person) -> None:
        for _ in range(3):
            for _ in range(FAILURES_MAX - 1):
                assert guess(system, payer.email).status_code == 400
            assert log_in_with(system, email=payer.email).status_code == 200

    def test_is_possible_again_after_the_wait(self, system: System, payer: Person) -> None:
        lock_out(system, payer.email)
        let_waits_pass(system, count=FAILURES_MAX)
        assert log_in_with(system, email=payer.email).status_code == 200
        assert guess(system, payer.email).status_code == 400

    def test_in_capitals_is_guessing_too(self, system: System, payer: Person) -> None:
        lock_out(system, payer.email)
        problem_in(guess(system, payer.email.upper()), status=429, code="too_many_attempts")

    @pytest.mark.parametrize("is_known", [True, False])
    def test_fifty_at_once_evaluates_five(
        self, system: System, payer: Person, stranger: str, *, is_known: bool
    ) -> None:
        email = payer.email if is_known else stranger
        with ThreadPoolExecutor(50) as threads:
            asked = [threads.submit(guess, system, email) for _ in range(50)]
        statuses = sorted(future.result().status_code for future in asked)
        assert statuses == [400] * FAILURES_MAX + [429] * (50 - FAILURES_MAX)

    def test_the_right_pin_among_fifty_wrong_ones_is_no_way_around(self, system: System, payer: Person) -> None:
        lock_out(system, payer.email)
        with ThreadPoolExecutor(10) as threads:
            asked = [threads.submit(log_in_with, system, email=payer.email) for _ in range(10)]
        assert {future.result().status_code for future in asked} == {429}

    def test_is_counted_where_a_restart_of_the_edge_does_not_forget_it(self, system: System, payer: Person) -> None:
        for _ in range(FAILURES_MAX - 1):
            assert guess(system, payer.email).status_code == 400
        system.await_restart("api", of=system.kill("api"))
        # Each guess counts, so the one that is left is made only once somebody answers.
        eventually(lambda: _answers(lambda: is_good(system, payer.token)), seconds_max=START_SECONDS_MAX)
        assert guess(system, payer.email).status_code == 400
        problem_in(guess(system, payer.email), status=429, code="too_many_attempts")


class TestLockOut:
    def test_is_for_logging_in_alone(self, system: System, payer: Person) -> None:
        key = make_key(payer.http, "wallets:read")["key"]
        session = session_of(system, payer)
        lock_out(system, payer.email)
        assert is_good(system, payer.token)
        assert is_good(system, key)
        refreshed = refresh_with(system, session["refresh_token"])
        assert refreshed.status_code == 200
        assert is_good(system, refreshed.json()["access_token"])

    def test_of_one_is_nobody_elses(self, system: System, payer: Person, payee: Person) -> None:
        lock_out(system, payer.email)
        assert log_in_with(system, email=payee.email).status_code == 200

    def test_keeps_no_email_that_was_tried(self, system: System, stranger: str) -> None:
        guess(system, stranger)
        rows = execute(system, "SELECT login_failures::text FROM login_failures")
        assert rows
        assert not any(stranger in text or stranger.encode().hex() in text for (text,) in rows)


class TestSomebodyUnknown:
    def test_is_answered_as_somebody_known_is(self, system: System, payer: Person, stranger: str) -> None:
        for _ in range(FAILURES_MAX):
            assert _seen(guess(system, payer.email)) == _seen(guess(system, stranger))
        known, unknown = guess(system, payer.email), guess(system, stranger)
        assert [known.status_code, unknown.status_code] == [429, 429]
        varying = {"request_id"}
        assert {k: v for k, v in known.json().items() if k not in varying} == {
            k: v for k, v in unknown.json().items() if k not in varying
        }

    def test_takes_as_long_as_somebody_known(self, system: System, payer: Person, stranger: str) -> None:
        """In turn, and by the fastest of each: a hash takes many times as long as all the rest, and noise only adds."""
        seconds: dict[str, list[float]] = {payer.email: [], stranger: []}
        with connected(system, None) as http:
            for _ in range(3):
                for _ in range(FAILURES_MAX - 1):
                    for email, taken in seconds.items():
                        began = perf_counter()
                        answer = http.post("/v1/token", data={"username": email, "password": WRONG_PIN})
                        taken.append(perf_counter() - began)
                        assert answer.status_code == 400
                execute(system, "DELETE FROM login_failures")
        known, unknown = map(min, seconds.values())
        assert 0.33 < known / unknown < 3, seconds


def _seen(answer: httpx2.Response) -> tuple[object, ...]:
    shown = sorted((name, value) for name, value in answer.headers.items() if name in SHOWN_TO_EVERYBODY)
    return answer.status_code, answer.text, shown


def _answers(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except httpx2.TransportError:
        return False
