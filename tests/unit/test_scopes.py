"""Every operation says which scope it needs; a new one that says nothing is found here."""

from typing import Any, Final

from cryptography.fernet import Fernet

from api.main import make_app
from shared.domain.scope import DESCRIPTIONS, KEYS_MANAGE, OF_PERSONS, OPERATOR, TRANSFERS_READ, implied
from shared.settings import ApiSettings

SETTINGS = ApiSettings(
    database_url="postgresql://nobody@127.0.0.1:1/nothing",
    token_keys=(("a", bytes(32)),),
    pin_pepper=bytes(32),
    webhook_secret_keys=(Fernet.generate_key().decode(),),
)

FOR_ANYBODY: Final = {"post_user", "post_token", "post_revocation", "get_currencies"}
FOR_ANYBODY_WITH_CREDENTIALS: Final = {"get_system_balance"}


def test_every_operation_needs_a_scope_unless_it_is_listed_here() -> None:
    open_to_all: set[str] = set()
    open_to_the_known: set[str] = set()
    for operation in operations():
        if not (security := operation.get("security")):
            open_to_all.add(operation["operationId"])
            continue
        ((_, scopes),) = security[0].items()
        assert set(scopes) <= DESCRIPTIONS.keys()
        if not scopes:
            open_to_the_known.add(operation["operationId"])
    assert open_to_all == FOR_ANYBODY
    assert open_to_the_known == FOR_ANYBODY_WITH_CREDENTIALS


def test_every_operation_that_needs_credentials_documents_that_it_may_refuse_them() -> None:
    for operation in operations():
        if security := operation.get("security"):
            ((_, scopes),) = security[0].items()
            assert "401" in operation["responses"], operation["operationId"]
            assert not scopes or "403" in operation["responses"], operation["operationId"]


def test_an_operator_may_do_everything_and_a_key_what_it_says() -> None:
    assert implied([OPERATOR]) == OF_PERSONS | {OPERATOR} == DESCRIPTIONS.keys()
    assert implied([TRANSFERS_READ]) == {TRANSFERS_READ}
    assert KEYS_MANAGE in OF_PERSONS


def operations() -> list[dict[str, Any]]:
    paths = make_app(SETTINGS, lane_count=1).openapi()["paths"]
    return [operation for path, item in paths.items() if path.startswith("/v1/") for operation in item.values()]
