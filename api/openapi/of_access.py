"""Say what is answered about people, their tokens and their keys."""

from typing import Final

from api.openapi import examples, shapes
from api.openapi.answer import ID, NEXT_CURSOR, NOT_KEPT, Answer, Answers, Requests, page, shown

ANSWERS: Final[Answers] = {
    "post_token": {
        200: shown(shapes.Token, examples.PAIR, headers=NOT_KEPT, description="Logged in, or gone on."),
        400: Answer(
            description="The email or the PIN is wrong, or the refresh token is not good (RFC 6749).",
            shapes=(shapes.TokenRefused,),
            examples={"password": examples.WRONG_PIN, "refresh_token": examples.DEAD_TOKEN},
            headers=NOT_KEPT,
        ),
    },
    "post_revocation": {
        200: shown(shapes.LoggedOut, {}, headers=NOT_KEPT, description="Ended, or there was nothing to end.")
    },
    "post_user": {
        201: shown(
            shapes.SignedUpUser,
            {
                **examples.USER,
                "wallet_id": examples.OTHER_WALLET_ID,
                "opening_grant": {**examples.SUCCEEDED, "metadata": None},
            },
            description="Signed up.",
        )
    },
    "get_me": {200: shown(shapes.User, examples.USER, description="The caller.")},
    "get_my_balance": {
        200: shown(
            shapes.Balance,
            {"wallet_id": examples.WALLET_ID, "currency": "BDT", "balance": 500_000},
            description="What the wallet holds.",
            leads_to={"get_wallet": {"wallet_id": "$response.body#/wallet_id"}},
        )
    },
    "post_key": {
        201: shown(
            shapes.NewApiKey,
            {**examples.API_KEY, "last_used_at": None, "key": "sk_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"},
            description="Made. The key is shown this once.",
            leads_to={"remove_key": {"key_id": ID}},
        )
    },
    # No link from here to revoking: whoever follows all of them would revoke what they call with.
    "get_keys": {200: page(shapes.ApiKeyPage, examples.API_KEY, leads_to={"get_keys": {"cursor": NEXT_CURSOR}})},
    "remove_key": {204: Answer(description="Revoked.")},
}

REQUESTS: Final[Requests] = {
    "post_token": {
        "log in": {"grant_type": "password", "username": "rina@example.org", "password": "27182"},
        "go on": {"grant_type": "refresh_token", "refresh_token": examples.PAIR["refresh_token"]},
    },
    "post_revocation": {"log out": {"token": examples.PAIR["refresh_token"]}},
    "post_user": {"sign up": {"name": "Rina", "email": "rina@example.org", "pin": "27182"}},
    "post_key": {
        "for good": {"scopes": ["transfers:read"]},
        "for a while": {"name": "the shop", "scopes": ["transfers:write"], "expires_at": "2099-05-04T00:00:00Z"},
    },
}
