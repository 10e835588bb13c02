"""Look up whose credentials these are, in PostgreSQL: a person's token, or an API key."""

import math

from sqlalchemy.ext.asyncio import AsyncEngine

from api.known_callers import Caller, Credited
from api.users.tokens import Tokens
from shared import clock
from shared.database.api_keys import use_key
from shared.database.sessions import is_live
from shared.domain.api_key import KEY_PREFIX, hash_key
from shared.domain.errors import NotAuthenticated
from shared.domain.scope import OF_PERSONS, implied


async def look_up(credentials: str, *, engine: AsyncEngine, tokens: Tokens) -> Credited:
    """Look credentials up.

    Raises:
        NotAuthenticated: They are not good.
    """
    if credentials.startswith(KEY_PREFIX):
        return await _key(credentials, engine=engine)
    token = tokens.verify(credentials)
    async with engine.connect() as tx:
        if not await is_live(tx, token.session):
            raise NotAuthenticated
    return Credited(
        caller=Caller(owner_id=token.session.user_id, scopes=OF_PERSONS),
        good_seconds=token.good_until_seconds - clock.now().timestamp(),
    )


async def _key(key: str, *, engine: AsyncEngine) -> Credited:
    async with engine.begin() as tx:
        known = await use_key(tx, key_hash=hash_key(key))
    if known is None:
        raise NotAuthenticated
    return Credited(
        caller=Caller(owner_id=known.owner_id, scopes=implied(known.scopes)),
        good_seconds=math.inf if known.seconds_left is None else known.seconds_left,
    )
