"""Is the house in order? Each rule is first shown something bad, since a check that cannot fail is worth nothing."""

from collections.abc import Mapping
from typing import Final

import pytest

from tests.architecture.code_rules import (
    domain_is_pure,
    functions_are_short,
    money_is_whole,
    opens_with_a_sentence,
    settings_are_passed_down,
    time_is_told,
    transaction_is_postgresqls,
    unused_definitions,
)
from tests.architecture.source import Rule, Source, project_files
from tests.architecture.sql_rules import (
    commits_are_blocks,
    sql_is_built_in_shared_database,
    sql_is_constant,
    sql_is_in_shared_database,
    sql_says_nothing_forbidden,
)
from tests.architecture.text_rules import (
    file_is_short,
    file_name_says_what,
    gives_nothing_away,
    suppression_has_reason,
    todo_has_issue,
)

CODE: Final = ("api/", "hishab/", "shared/", "worker/")
SERVER: Final = ("api/", "shared/", "worker/")
PYTHON: Final = (*CODE, "tests/")
EVERYTHING: Final = ("",)
MONEY: Final = ("hishab/money.py", "shared/domain/apply.py", "shared/domain/money.py")

FIRST_MIGRATION: Final = "shared/database/migrations/versions/0001_first.py"

RULES: Final[Mapping[Rule, tuple[str, ...]]] = {
    domain_is_pure: ("shared/domain/",),
    file_is_short: PYTHON,
    file_name_says_what: EVERYTHING,
    functions_are_short: PYTHON,
    gives_nothing_away: EVERYTHING,
    money_is_whole: MONEY,
    opens_with_a_sentence: CODE,
    settings_are_passed_down: SERVER,
    sql_is_built_in_shared_database: CODE,
    sql_is_constant: SERVER,
    sql_is_in_shared_database: CODE,
    sql_says_nothing_forbidden: SERVER,
    suppression_has_reason: PYTHON,
    time_is_told: SERVER,
    todo_has_issue: EVERYTHING,
    transaction_is_postgresqls: PYTHON,
    commits_are_blocks: SERVER,
}
"""Each rule and the paths it holds for."""

ALLOWED: Final[Mapping[tuple[Rule, str, str], str]] = {
    (functions_are_short, FIRST_MIGRATION, "_create_tables"): "a frozen list of tables",
    (file_is_short, "shared/database/tables.py", ""): "one list: who reads a table wants to see its neighbours",
    (sql_is_constant, FIRST_MIGRATION, "execute"): "one trigger a table; names cannot be parameters, and are ours",
}
"""What may break a rule: (rule, path, subject of the finding) and the reason. One that is no longer needed fails."""

DECLARATIONS: Final = ("shared/database/migrations/", "shared/database/tables.py")
"""What stands here is used by standing here: Alembic runs a migration, METADATA knows a table."""

NOT_DEAD: Final[Mapping[str, str]] = {
    "iterate_event_pages": "whoever installs the client",
    "iterate_transfers": "whoever installs the client",
    "wait_for_batch": "whoever installs the client",
}
"""Names that nothing of ours mentions, and who calls them."""

LONG_FUNCTION: Final = "def apply():\n" + "    x = 1\n" * 60
JUST_SHORT_ENOUGH: Final = 'def apply():\n    """Apply.\n\n    More.\n    """\n' + "    x = 1\n" * 59

Case = tuple[Rule, str, str]

BAD: Final[tuple[Case, ...]] = (
    (domain_is_pure, "shared/domain/lane.py", "lane = hash(wallet_id) % 8"),
    (domain_is_pure, "shared/domain/lane.py", "rates = open('rates.csv')"),
    (file_is_short, "api/main.py", "x = 1\n" * 401),
    (file_name_says_what, "shared/utils.py", ""),
    (file_name_says_what, "shared/money_helpers.py", ""),
    (file_name_says_what, "worker/base/lane.py", ""),
    (functions_are_short, "worker/lanes/apply.py", LONG_FUNCTION),
    (functions_are_short, "worker/lanes/apply.py", "async " + LONG_FUNCTION),
    (gives_nothing_away, "README.md", "pip install --ind" + "ex-url https://mirror.example/simple hishab"),
    (gives_nothing_away, "constraints.txt", "# from https://py" + "pi.org/simple"),
    (gives_nothing_away, "docs/architecture.md", "seen in /wo" + "rk/design"),
    (gives_nothing_away, "Makefile", "DATA = /ho" + "me/anna/data"),
    (money_is_whole, "shared/domain/money.py", "half = amount_minor / 2"),
    (money_is_whole, "shared/domain/money.py", "fee = amount_minor * 0.01"),
    (money_is_whole, "shared/domain/money.py", "fee = round(amount_minor)"),
    (opens_with_a_sentence, "api/main.py", "import os\n"),
    (opens_with_a_sentence, "api/main.py", '"""Compose the API"""\n'),
    (opens_with_a_sentence, "api/__init__.py", "x = 1\n"),
    (settings_are_passed_down, "worker/lanes/apply.py", "lanes = os.environ['LANES']"),
    (settings_are_passed_down, "worker/lanes/apply.py", "from os import getenv"),
    (settings_are_passed_down, "api/caller.py", "keys = settings.ApiSettings().token_keys"),
    (sql_is_built_in_shared_database, "api/health.py", "from sqlalchemy import text"),
    (sql_is_built_in_shared_database, "api/health.py", "import sqlalchemy.sql"),
    (sql_is_built_in_shared_database, "worker/lanes/apply.py", "from psycopg import sql"),
    (sql_is_constant, "shared/database/ledger.py", "tx.execute(f'SELECT id FROM {table}')"),
    (sql_is_constant, "shared/database/ledger.py", "tx.execute('SELECT id FROM ' + table)"),
    (sql_is_constant, "shared/database/ledger.py", "tx.execute('SELECT %s' % name)"),
    (sql_is_constant, "shared/database/ledger.py", "tx.execute('SELECT {}'.format(name))"),
    (sql_is_constant, "shared/database/ledger.py", "sql = f'SELECT {name}'\ntx.execute(sql)"),
    (sql_is_constant, "shared/database/ledger.py", "tx.execute(text('SELECT ' + name))"),
    (sql_is_in_shared_database, "api/health.py", "ALIVE = 'SELECT 1'"),
    (sql_is_in_shared_database, "api/health.py", 'READ = """\n-- Reads the head of the lane.\nSELECT id FROM queue"""'),
    (sql_is_in_shared_database, "worker/main.py", "LISTEN = 'LISTEN ended'"),
    (sql_is_in_shared_database, "worker/main.py", "say = \"select pg_notify('ended', '')\""),
    (sql_is_in_shared_database, "shared/queue.py", "sql = f'UPDATE {table} SET balance = 0'"),
    (sql_is_in_shared_database, "worker/lanes/apply.py", "tx.execute(TAKE_LANE)"),
    (sql_says_nothing_forbidden, "shared/database/ledger.py", "LOCK = 'SELECT id FROM wallets ORDER BY id FOR UPDATE'"),
    (sql_says_nothing_forbidden, "shared/database/wallets.py", "query.with_for_update()"),
    (sql_says_nothing_forbidden, "shared/database/wallets.py", "READ = 'SELECT * FROM wallets'"),
    (sql_says_nothing_forbidden, "shared/database/wallets.py", "READ = 'SELECT id FROM wallets OFFSET %(start)s'"),
    (sql_says_nothing_forbidden, "shared/database/wallets.py", "select(WALLETS.c.id).offset(start)"),
    (suppression_has_reason, "api/main.py", "except Exception:  # no" + "qa: BLE001"),
    (suppression_has_reason, "api/main.py", "x = call()  # pyright: ig" + "nore[reportUnknownMemberType]"),
    (suppression_has_reason, "api/main.py", "x = call()  # type: ig" + "nore[misc] - Celery has no types"),
    (time_is_told, "worker/upkeep/loop.py", "import time"),
    (time_is_told, "worker/upkeep/loop.py", "from time import monotonic"),
    (todo_has_issue, "README.md", "TO" + "DO: write"),
    (transaction_is_postgresqls, "api/transfers/routes.py", "class TransactionBody: ..."),
    (transaction_is_postgresqls, "api/transfers/routes.py", "def list_transactions(): ..."),
    (transaction_is_postgresqls, "api/transfers/routes.py", "def read(*, transaction_id: UUID): ..."),
    (transaction_is_postgresqls, "api/transfers/routes.py", "pending_transaction = accept()"),
    (commits_are_blocks, "worker/lanes/apply.py", "tx.execute(MARK_BUSY)\ntx.commit()"),
    (commits_are_blocks, "api/users/sign_up.py", "await connection.rollback()"),
)

GOOD: Final[tuple[Case, ...]] = (
    (domain_is_pure, "shared/domain/lane.py", "lane = 1 + wallet_id.int % 8"),
    (file_is_short, "api/main.py", "x = 1\n" * 400),
    (file_name_says_what, "shared/database/based_on.py", ""),
    (functions_are_short, "worker/lanes/apply.py", JUST_SHORT_ENOUGH),
    (
        gives_nothing_away,
        "README.md",
        "curl http://127.0.0.1:8000/v1/work; ls worker/lanes ~/.config a/worker b/work.py",
    ),
    (money_is_whole, "shared/domain/money.py", "whole, rest = divmod(amount_minor, 100)"),
    (opens_with_a_sentence, "api/__init__.py", ""),
    (opens_with_a_sentence, "api/main.py", '"""Compose the API: settings, pools, app.\n\nMore."""\n'),
    (settings_are_passed_down, "api/main.py", "settings = ApiSettings()"),
    (settings_are_passed_down, "api/caller.py", "def caller(settings: ApiSettings): ..."),
    (sql_is_built_in_shared_database, "api/health.py", "from sqlalchemy.ext.asyncio import AsyncEngine"),
    (sql_is_built_in_shared_database, "api/problems.py", "from sqlalchemy.exc import DBAPIError"),
    (sql_is_built_in_shared_database, "worker/lanes/apply.py", "from psycopg import Connection, errors"),
    (sql_is_built_in_shared_database, "shared/database/users.py", "from sqlalchemy import select"),
    (sql_is_constant, "shared/database/ledger.py", "tx.execute(SQL('SELECT id FROM {}').format(Identifier(name)))"),
    (sql_is_constant, "shared/database/ledger.py", "tx.execute(READ_HEAD, {'lane': f'{lane}'})"),
    (sql_is_in_shared_database, "shared/database/ledger.py", "tx.execute('SELECT 1')"),
    (sql_is_in_shared_database, "api/health.py", '"""SELECT nothing here."""\nredis.pipeline().execute()'),
    (sql_is_in_shared_database, "hishab/main.py", "HELP = 'Select a file. Update it with set values, or delete it.'"),
    (sql_says_nothing_forbidden, "shared/database/ledger.py", "LOCK = 'SELECT id FROM wallets FOR NO KEY UPDATE'"),
    (sql_says_nothing_forbidden, "shared/database/wallets.py", "query.with_for_update(key_share=True)"),
    (sql_says_nothing_forbidden, "shared/database/wallets.py", '"""No FOR UPDATE here."""'),
    (suppression_has_reason, "api/main.py", "except Exception:  # no" + "qa: BLE001 (a lane survives anything)"),
    (
        suppression_has_reason,
        "api/main.py",
        "x()  # pyright: ig" + "nore[reportCallIssue] - fields come from the environment",
    ),
    (commits_are_blocks, "worker/lanes/apply.py", "with tx.transaction():\n    mark_busy(tx)"),
    (commits_are_blocks, "api/transfers/intake.py", "await commits.commit(pool, write)"),
    (suppression_has_reason, "api/main.py", "# Chance spreads them.\nwait = chance()  # no" + "qa: S311"),
    (time_is_told, "shared/clock.py", "import time"),
    (time_is_told, "worker/upkeep/loop.py", "from shared import clock\nfrom datetime import time"),
    (todo_has_issue, "README.md", "TO" + "DO(anna): #12 write"),
    (
        transaction_is_postgresqls,
        "worker/lanes/apply.py",
        "with tx.transaction():\n    idle_in_transaction_seconds = 5",
    ),
)


def _numbered(cases: tuple[Case, ...]) -> list[object]:
    return [pytest.param(*case, id=f"{case[0].__name__}-{number}") for number, case in enumerate(cases, start=1)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_is_in_order(rule: Rule) -> None:
    broken = {
        (rule, source.path, finding.subject): f"{source.path}:{finding.line}: {finding.subject}: {finding.remedy}"
        for source in project_files()
        if _holds_for(rule, source)
        for finding in rule(source)
    }
    unexcused = [place for key, place in broken.items() if key not in ALLOWED]
    unneeded = [f"{path}: {subject}" for r, path, subject in ALLOWED if r is rule and (r, path, subject) not in broken]
    assert not unexcused, "\n".join(unexcused)
    assert not unneeded, f"no longer needed in ALLOWED: {unneeded}"


def test_nothing_is_dead() -> None:
    code = [source for source in project_files() if _is_code(source)]
    dead = {
        finding.subject: f"{source.path}:{finding.line}: {finding.subject}"
        for source, finding in unused_definitions(code)
        if not source.path.startswith(DECLARATIONS)
    }
    unexcused = [place for subject, place in dead.items() if subject not in NOT_DEAD]
    assert not unexcused, "\n".join(unexcused)
    assert NOT_DEAD.keys() <= dead.keys(), f"no longer needed in NOT_DEAD: {NOT_DEAD.keys() - dead.keys()}"


@pytest.mark.parametrize(("rule", "path", "text"), _numbered(BAD))
def test_a_rule_finds_what_is_bad(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path=path, text=text)))


@pytest.mark.parametrize(("rule", "path", "text"), _numbered(GOOD))
def test_a_rule_leaves_alone_what_is_good(rule: Rule, path: str, text: str) -> None:
    assert not list(rule(Source(path=path, text=text)))


def test_every_rule_is_shown_good_and_bad() -> None:
    assert {rule for rule, _, _ in BAD} == {rule for rule, _, _ in GOOD} == set(RULES)


def test_every_rule_holds_for_some_file() -> None:
    assert all(any(_holds_for(rule, source) for source in project_files()) for rule in RULES)


class TestUnusedDefinitions:
    """What is defined and never named."""

    def test_finds_functions_constants_methods_and_settings(self) -> None:
        text = (
            "LIMIT = 1\ndef f(): ...\nclass C:\n    def m(self): ...\nclass ASettings(C):\n    port: int\nASettings()\n"
        )
        found = unused_definitions([Source(path="api/a.py", text=text)])
        assert {finding.subject for _, finding in found} == {"LIMIT", "f", "m", "port"}

    def test_leaves_alone_what_another_file_names(self) -> None:
        one = Source(path="api/a.py", text="def accept(): ...\n")
        other = Source(path="api/b.py", text="from api.a import accept\n")
        assert not list(unused_definitions([one, other]))

    def test_leaves_alone_what_is_decorated_or_overrides(self) -> None:
        text = "@app.get('/livez')\ndef live(): ...\nclass C(Base):\n    def run(self): ...\nC()\n"
        assert not list(unused_definitions([Source(path="api/a.py", text=text)]))


def _holds_for(rule: Rule, source: Source) -> bool:
    scope = RULES[rule]
    return source.path.startswith(scope) and (scope == EVERYTHING or source.path.endswith(".py"))


def _is_code(source: Source) -> bool:
    return source.path.startswith(CODE) and source.path.endswith(".py")
