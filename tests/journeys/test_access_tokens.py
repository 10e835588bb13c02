"""Log in, go on with refresh tokens, log out: each token is good once, and one that comes twice ends the session."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from shared.domain.scope import OF_PERSONS
from shared.domain.session import hash_token
from tests.access import await_refusal, execute, is_good, log_in_with, refresh_with, session_of
from tests.callers import Person, connected, problem_in
from tests.running_system import System


def refusal_in(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json"), answer.text
    assert answer.json()["error"] == "invalid_grant"
    assert answer.headers["cache-control"] == "no-store"


def pair_in(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    pair = answer.json()
    assert pair.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 900)
    assert set(pair["scope"].split()) == OF_PERSONS
    return pair


def used_long_ago(system: System, token: str) -> None:
    """Let the time in which a used token may come again pass."""
    execute(
        system,
        "UPDATE refresh_tokens SET used_at = used_at - interval '31 seconds' WHERE token_hash = %s",
        [hash_token(token)],
    )


class TestLogIn:
    def test_brings_a_pair_of_tokens(self, system: System, payer: Person) -> None:
        pair = pair_in(log_in_with(system, email=payer.email))
        assert pair["refresh_token"].startswith("rt_")
        assert is_good(system, pair["access_token"])

    def test_refuses_in_the_words_of_oauth(self, system: System, payer: Person) -> None:
        refusal_in(log_in_with(system, email=payer.email, pin="86421"))

    def test_tokens_are_stored_as_hashes_alone(self, system: System, payer: Person) -> None:
        token = session_of(system, payer)["refresh_token"]
        rows = execute(system, "SELECT 1 FROM refresh_tokens WHERE token_hash = %s", [hash_token(token)])
        assert rows == [(1,)]

    @pytest.mark.parametrize("form", [{"grant_type": "refresh_token"}, {"grant_type": "implicit", "username": "a"}])
    def test_lacks_nothing(self, system: System, form: dict[str, str]) -> None:
        with connected(system, None) as http:
            problem_in(http.post("/v1/token", data=form), status=422, code="validation_failed")


class TestRefresh:
    def test_brings_a_new_pair_each_time(self, system: System, payer: Person) -> None:
        pairs = [session_of(system, payer)]
        for _ in range(3):
            pairs.append(pair_in(refresh_with(system, pairs[-1]["refresh_token"])))
            assert is_good(system, pairs[-1]["access_token"])
        assert len({pair["refresh_token"] for pair in pairs}) == len(pairs)
        assert all(is_good(system, pair["access_token"]) for pair in pairs)

    @pytest.mark.parametrize("token", ["", "rt_nonsense", "nonsense", "sk_nonsense", "rt_\x00", "x" * 10_000])
    def test_refuses_what_is_no_refresh_token(self, system: System, token: str) -> None:
        answer = refresh_with(system, token)
        if token:
            refusal_in(answer)
        else:
            assert answer.status_code in {400, 422}

    def test_refuses_an_access_token(self, system: System, payer: Person) -> None:
        refusal_in(refresh_with(system, payer.token))

    def test_refuses_one_that_has_expired(self, system: System, payer: Person) -> None:
        token = session_of(system, payer)["refresh_token"]
        execute(system, "UPDATE refresh_tokens SET ends_at = now() WHERE token_hash = %s", [hash_token(token)])
        refusal_in(refresh_with(system, token))

    def test_gives_a_working_pair_again_while_the_answer_may_have_been_lost(
        self, system: System, payer: Person
    ) -> None:
        token = session_of(system, payer)["refresh_token"]
        lost = pair_in(refresh_with(system, token))
        again = pair_in(refresh_with(system, token))
        for pair in (again, lost):
            assert is_good(system, pair["access_token"])
        pair_in(refresh_with(system, again["refresh_token"]))

    def test_a_token_that_comes_again_after_its_successor_was_used_ends_the_session(
        self, system: System, payer: Person
    ) -> None:
        stolen = session_of(system, payer)["refresh_token"]
        newer = pair_in(refresh_with(system, stolen))
        newest = pair_in(refresh_with(system, newer["refresh_token"]))
        refusal_in(refresh_with(system, stolen))
        refusal_in(refresh_with(system, newest["refresh_token"]))

    def test_a_token_whose_answer_was_said_to_be_lost_ends_the_session(self, system: System, payer: Person) -> None:
        """A thief was as fast as the owner: one of them has what the other asked for anew."""
        stolen = session_of(system, payer)["refresh_token"]
        owners = pair_in(refresh_with(system, stolen))
        thiefs = pair_in(refresh_with(system, stolen))
        refusal_in(refresh_with(system, owners["refresh_token"]))
        refusal_in(refresh_with(system, thiefs["refresh_token"]))

    def test_ten_at_once_are_all_answered(self, system: System, payer: Person) -> None:
        token = session_of(system, payer)["refresh_token"]
        with ThreadPoolExecutor(10) as threads:
            answers = [threads.submit(refresh_with, system, token) for _ in range(10)]
        pairs = [pair_in(answer.result()) for answer in answers]
        assert len({pair["refresh_token"] for pair in pairs}) == 10

    def test_a_token_that_comes_again_later_ends_the_session(self, system: System, payer: Person) -> None:
        stolen = session_of(system, payer)
        newer = pair_in(refresh_with(system, stolen["refresh_token"]))
        newest = pair_in(refresh_with(system, newer["refresh_token"]))
        used_long_ago(system, stolen["refresh_token"])
        refusal_in(refresh_with(system, stolen["refresh_token"]))
        refusal_in(refresh_with(system, newest["refresh_token"]))
        for pair in (stolen, newer, newest):
            await_refusal(system, pair["access_token"])
        assert is_good(system, payer.token), "another session of the same person goes on"


class TestRevocation:
    @pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
    def test_of_either_token_ends_the_session(self, system: System, payer: Person, kind: str) -> None:
        pair = session_of(system, payer)
        newer = pair_in(refresh_with(system, pair["refresh_token"]))
        assert is_good(system, newer["access_token"])
        with connected(system, None) as http:
            answer = http.post("/v1/token/revoke", data={"token": newer[kind], "token_type_hint": "who_knows"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        for token in (pair["refresh_token"], newer["refresh_token"]):
            refusal_in(refresh_with(system, token))
        for token in (pair["access_token"], newer["access_token"]):
            await_refusal(system, token)
        assert is_good(system, payer.token)

    @pytest.mark.parametrize("token", ["nonsense", "rt_nonsense", "sk_nonsense", "\x00", "a.b.c", "x" * 5_000])
    def test_is_answered_alike_for_what_is_no_token(self, system: System, token: str) -> None:
        with connected(system, None) as http:
            answer = http.post("/v1/token/revoke", data={"token": token})
        assert (answer.status_code, answer.json()) == (200, {})

    def test_may_be_repeated(self, system: System, payer: Person) -> None:
        token = session_of(system, payer)["refresh_token"]
        with connected(system, None) as http:
            answers = [http.post("/v1/token/revoke", data={"token": token}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]

    def test_of_a_key_is_not_done_here(self, system: System, operator: httpx2.Client) -> None:
        with connected(system, None) as http:
            assert http.post("/v1/token/revoke", data={"token": system.operator_key}).status_code == 200
        assert operator.get("/v1/users/me").status_code == 401, "operators are nobody in particular"
        assert operator.get("/v1/system/balance").status_code == 200
