"""A token is ours or it is nothing: each way of forging one, and how keys rotate."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
import pytest

from api.users.tokens import Tokens
from shared.database.sessions import Session
from shared.domain.errors import NotAuthenticated
from shared.identifiers import new_id

KEY: Final = bytes(range(32))
OTHER_KEY: Final = bytes(range(1, 33))
SESSION: Final = Session(id=new_id(), user_id=new_id())
TOKENS: Final = Tokens((("a", KEY),))

NOW: Final = datetime.now(UTC)  # noqa: TID251 (the library reads the real clock)
GOOD: Final[dict[str, Any]] = {
    "iss": "hishab",
    "aud": "hishab",
    "sub": str(SESSION.user_id),
    "sid": str(SESSION.id),
    "iat": NOW,
    # Longer than a whole run of the tests, which may begin long before these.
    "exp": NOW + timedelta(days=1),
    "jti": "1",
}


def signed(
    *,
    but: dict[str, Any] | None = None,
    without: str = "",
    key: bytes = KEY,
    algorithm: str = "HS256",
    kid: str | None = "a",
) -> str:
    claims = {name: value for name, value in {**GOOD, **(but or {})}.items() if name != without}
    return jwt.encode(claims, key, algorithm=algorithm, headers={} if kid is None else {"kid": kid})


def spelled(header: object, *, claims: object = None, signature: bytes = b"x" * 32) -> str:
    """Put a token together as no library would."""
    parts = [header if isinstance(header, bytes) else json.dumps(header).encode(), json.dumps(claims).encode()]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, signature))


def plain_claims() -> dict[str, Any]:
    return {**GOOD, "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 900}


FORGED: Final = {
    "nothing": "",
    "nonsense": "nonsense",
    "dots": "..",
    "alg none": spelled({"alg": "none", "kid": "a", "typ": "JWT"}, claims=plain_claims(), signature=b""),
    "alg None": spelled({"alg": "None", "kid": "a"}, claims=plain_claims()),
    "alg of another kind": spelled({"alg": "RS256", "kid": "a"}, claims=plain_claims()),
    "no alg": spelled({"kid": "a"}, claims=plain_claims()),
    "alg a list": spelled({"alg": ["HS256"], "kid": "a"}, claims=plain_claims()),
    "HS384 with our key": signed(algorithm="HS384", key=KEY * 2),
    "HS512 with our key": signed(algorithm="HS512", key=KEY * 2),
    "another key": signed(key=OTHER_KEY),
    "signature cut": signed()[:-2],
    "no signature": signed().rpartition(".")[0] + ".",
    "kid unknown": signed(kid="b"),
    "kid missing": signed(kid=None),
    "kid empty": signed(kid=""),
    "kid a path": signed(kid="../../dev/null"),
    "kid a list": spelled({"alg": "HS256", "kid": ["a"]}, claims=plain_claims()),
    "kid an object": spelled({"alg": "HS256", "kid": {"a": "a"}}, claims=plain_claims()),
    "header a list": spelled(["HS256"], claims=plain_claims()),
    "header deep": spelled(b"[" * 600, claims=plain_claims()),
    "header no text": spelled(b"\xff\xfe", claims=plain_claims()),
    "crit": spelled({"alg": "HS256", "kid": "a", "crit": ["x"]}, claims=plain_claims()),
    "too long": signed(but={"padding": "x" * 2_000}),
    **{f"no {claim}": signed(without=claim) for claim in GOOD},
    "another issuer": signed(but={"iss": "somebody"}),
    "another audience": signed(but={"aud": "somebody"}),
    "expired": signed(but={"exp": NOW - timedelta(seconds=1)}),
    "exp no number": signed(but={"exp": "tomorrow"}),
    "not before tomorrow": signed(but={"nbf": NOW + timedelta(days=1)}),
    "sub no id": signed(but={"sub": "rina"}),
    "sid no id": signed(but={"sid": "1"}),
    "sid a number": signed(but={"sid": 1}),
    "sub empty": signed(but={"sub": ""}),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        TOKENS.verify(token)


def test_one_that_is_made_as_ours_are_is_good() -> None:
    assert TOKENS.verify(signed()).session == SESSION
    assert TOKENS.verify(TOKENS.issue(SESSION)).session == SESSION


def test_one_that_was_issued_by_a_clock_ahead_of_ours_is_good_until_it_says() -> None:
    ahead = NOW + timedelta(hours=1)
    token = signed(but={"iat": ahead, "exp": ahead + timedelta(minutes=15)})
    assert TOKENS.verify(token).good_until_seconds == int((ahead + timedelta(minutes=15)).timestamp())


def test_ours_carry_every_claim_and_their_key_and_end_after_fifteen_minutes() -> None:
    token = TOKENS.issue(SESSION)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": "a", "typ": "JWT"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.keys() == {"iss", "aud", "sub", "sid", "exp", "iat", "jti"}
    assert claims["exp"] - claims["iat"] == 900
    assert jwt.decode(TOKENS.issue(SESSION), options={"verify_signature": False})["jti"] != claims["jti"]


def test_a_new_key_signs_while_the_old_one_still_verifies() -> None:
    old = TOKENS.issue(SESSION)
    rotated = Tokens((("b", OTHER_KEY), ("a", KEY)))
    new = rotated.issue(SESSION)
    assert jwt.get_unverified_header(new)["kid"] == "b"
    assert rotated.verify(old).session == rotated.verify(new).session == SESSION


def test_a_key_that_was_taken_away_verifies_no_longer() -> None:
    with pytest.raises(NotAuthenticated):
        Tokens((("b", OTHER_KEY),)).verify(TOKENS.issue(SESSION))
