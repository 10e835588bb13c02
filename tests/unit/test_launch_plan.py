"""Parts are told where everything is, and what the person who starts them wishes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hishab.data_directory import DataDirectory
from hishab.launch_plan import LaunchPlan, Wishes, launch_plan

DATABASE_URL = "postgresql://elsewhere/hishab"
BROKER_URL = "redis://elsewhere/0"


@pytest.fixture
def wishes(tmp_path: Path) -> Wishes:
    return Wishes(
        data_dir=tmp_path,
        host="127.0.0.1",
        port=0,
        database_url=DATABASE_URL,
        broker_url=BROKER_URL,
        allow_local_webhooks=False,
        as_json=False,
    )


def plan(wishes: Wishes, *, environment: Mapping[str, str] | None = None) -> LaunchPlan:
    return launch_plan(wishes, directory=DataDirectory(wishes.data_dir), environment=environment or {})


class TestEnvironment:
    def test_tells_where_everything_is(self, wishes: Wishes) -> None:
        planned = plan(wishes)
        assert planned.environment["HISHAB_DATABASE_URL"] == DATABASE_URL
        assert planned.environment["HISHAB_BROKER_URL"] == BROKER_URL
        assert planned.url == f"http://127.0.0.1:{planned.environment['HISHAB_PORT']}"
        assert planned.environment["HISHAB_HOST"] == "127.0.0.1"
        assert not planned.servers

    def test_hands_on_the_secrets_of_the_data_directory(self, wishes: Wishes) -> None:
        secrets = DataDirectory(wishes.data_dir).secrets()
        environment = plan(wishes).environment
        assert environment["HISHAB_TOKEN_KEYS"] == secrets.token_keys
        assert environment["HISHAB_PIN_PEPPER"] == secrets.pin_pepper
        assert environment["HISHAB_WEBHOOK_SECRET_KEYS"] == secrets.webhook_secret_keys

    def test_lets_the_surrounding_environment_overrule_what_nobody_wished(self, wishes: Wishes) -> None:
        ours = {
            "HISHAB_LOG_FORMAT": "json",
            "HISHAB_TOKEN_KEYS": "other:key",
            "HISHAB_WEBHOOK_ALLOWED_CIDRS": "10.0.0.0/8",
        }
        assert ours.items() <= plan(wishes, environment=ours).environment.items()

    def test_does_not_let_it_overrule_a_wish(self, wishes: Wishes) -> None:
        environment = plan(
            wishes, environment={"HISHAB_DATABASE_URL": "postgresql://other", "HISHAB_PORT": "1"}
        ).environment
        assert environment["HISHAB_DATABASE_URL"] == DATABASE_URL
        assert environment["HISHAB_PORT"] != "1"

    def test_leaves_webhooks_to_the_rest_of_the_world_alone(self, wishes: Wishes) -> None:
        assert not [
            name
            for name in plan(wishes).environment
            if name in {"HISHAB_WEBHOOK_ALLOWED_CIDRS", "HISHAB_WEBHOOK_HTTPS_ONLY"}
        ]

    @pytest.mark.parametrize(
        ("surrounding", "allowed"),
        [
            ({}, "127.0.0.0/8,::1/128"),
            ({"HISHAB_WEBHOOK_ALLOWED_CIDRS": "10.0.0.0/8"}, "10.0.0.0/8,127.0.0.0/8,::1/128"),
        ],
    )
    def test_lets_webhooks_reach_this_machine_when_wished(
        self, wishes: Wishes, surrounding: dict[str, str], allowed: str
    ) -> None:
        environment = plan(replace(wishes, allow_local_webhooks=True), environment=surrounding).environment
        assert environment["HISHAB_WEBHOOK_ALLOWED_CIDRS"] == allowed
        assert environment["HISHAB_WEBHOOK_HTTPS_ONLY"] == "false"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://localhost:"),
        ("0.0.0.0", "http://127.0.0.1:"),  # noqa: S104 (it is what the test is about)
        ("::1", "http://[::1]:"),
        ("::", "http://[::1]:"),
    ],
)
def test_the_url_is_one_that_this_machine_can_open(wishes: Wishes, host: str, url: str) -> None:
    assert plan(replace(wishes, host=host)).url.startswith(url)


def test_no_secret_shows_in_a_traceback(wishes: Wishes) -> None:
    planned = plan(wishes)
    shown = repr((wishes, planned, planned.part("api"), DataDirectory(wishes.data_dir).secrets()))
    assert "elsewhere" not in shown
    assert planned.environment["HISHAB_PIN_PEPPER"] not in shown
