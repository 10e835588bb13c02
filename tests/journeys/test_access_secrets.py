"""Use a PIN, tokens and keys everywhere, rightly and wrongly; then look for them in logs, database and broker."""

import base64
import re
from collections.abc import Iterator
from secrets import randbelow, token_hex
from typing import Any, Final

import httpx2
import psycopg
import redis
from psycopg import sql

from tests.access import execute, log_in_with, make_key, refresh_with
from tests.callers import connected, operators_wallet
from tests.running_system import System

TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


def new_pin(text: str) -> str:
    """Choose a PIN that stands nowhere yet; above all ports, which are logged."""
    return next(pin for pin in map(str, range(66_000 + randbelow(30_000), 100_000)) if pin not in text)


def dumped(system: System) -> str:
    """Give all rows of all tables as text, bytea in hex."""
    with psycopg.connect(system.database_url) as connection:
        rows: list[str] = []
        for (table,) in execute(system, TABLES):
            found = connection.execute(
                sql.SQL("SELECT {}::text FROM {}").format(sql.Identifier(table), sql.Identifier(table))
            )
            rows += [f"{table} {row}" for (row,) in found]
    return "\n".join(rows)


def brokered(system: System) -> bytes:
    """Give all keys of the broker with what they hold."""
    client: Any = redis.Redis.from_url(system.broker_url)  # pyright: ignore[reportUnknownMemberType] - untyped
    return b"\n".join(key + _held(client, key) for key in client.scan_iter())


def _held(client: Any, key: bytes) -> bytes:  # noqa: ANN401 (untyped)
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"list":
            return b" ".join(client.lrange(key, 0, -1))
        case b"set":
            return b" ".join(client.smembers(key))
        case b"zset":
            return b" ".join(client.zrange(key, 0, -1))
        case _:
            return repr(client.hgetall(key)).encode()


def spellings(secret: str) -> Iterator[str]:
    """Spell a secret as it could stand in a log, a column or a message."""
    yield secret
    yield secret.encode().hex()
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    if len(secret) > 8:
        # The half of one that was cut off is too much, too.
        yield secret[len(secret) // 2 :]


def use_everywhere(http: httpx2.Client, secret: str, *, pin: str, email: str) -> None:
    """Send a secret where it belongs and where it does not: in headers, forms, bodies, paths and queries."""
    bearer = {"Authorization": f"Bearer {secret}"}
    for path in ("/v1/users/me", "/v1/transfers", "/v1/system/audits/7", "/v1/nothing"):
        http.get(path, headers=bearer)
    for wrong in (f"Bearer {secret}x", f"Bearer {secret[:-1]}", f"Basic {secret}"):
        http.get("/v1/users/me", headers={"Authorization": wrong})
    http.post("/v1/transfers", headers={**bearer, "Idempotency-Key": token_hex(8)}, json={"amount": secret})
    http.post("/v1/token", data={"username": secret, "password": pin})
    http.post("/v1/token", data={"username": email, "password": secret})
    http.post("/v1/token", data={"grant_type": "refresh_token", "refresh_token": f"{secret}x"})
    http.post("/v1/token", data={"grant_type": secret})
    http.post("/v1/token/revoke", data={"token": f"{secret}x"})
    http.post("/v1/users", json={"name": 7, "email": secret, "pin": pin, "extra": secret})
    http.post("/v1/users", content=f'{{"pin": "{secret}", '.encode(), headers={"Content-Type": "application/json"})
    http.post("/v1/api-keys", headers=bearer, json={"scopes": [secret], "name": 7})
    http.get(f"/v1/transfers/{secret}", headers=bearer)
    http.get("/v1/transfers", params={"cursor": secret, "status": secret}, headers=bearer)


def test_stand_nowhere(system: System) -> None:
    email = f"{token_hex(8)}@example.org"
    pin = new_pin(system.log.read_text() + dumped(system))
    with connected(system, None) as http:
        signed_up = http.post("/v1/users", json={"name": "Rina", "email": email, "pin": pin})
        assert signed_up.status_code == 201, signed_up.text
        pair = log_in_with(system, email=email, pin=pin).json()
        newer = refresh_with(system, pair["refresh_token"]).json()
        with connected(system, newer["access_token"]) as own:
            key = make_key(own, "transfers:write", "transfers:read")["key"]
        tokens = [each[kind] for each in (pair, newer) for kind in ("access_token", "refresh_token")]
        for secret in (*tokens, key, pin):
            use_everywhere(http, secret, pin=pin, email=email)
    with connected(system, system.operator_key) as operator:
        operators_wallet(operator, holding=1)
    log, database, broker = system.log.read_text(), dumped(system), brokered(system)
    assert "api" in log
    assert email in database, "what is looked through is the database"
    for place in (log, database, broker.decode(errors="replace")):
        for secret in (*tokens, key, system.operator_key):
            assert not [spelling for spelling in spellings(secret) if spelling in place]
        # Not within a longer number or a hash, nor as the fraction of a second, where five digits stand by chance.
        assert not re.search(rf"(?<![0-9A-Za-z.]){pin}(?![0-9A-Za-z])", place)
