"""Rules over SQL: where it stands, that it is a constant, and what it must not say."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from tests.architecture.source import Finding, Source, called_name, calls, strings

_LEADING_COMMENTS: Final = r"\s*(?:--[^\n]*\n\s*)*"
_STATEMENT: Final = re.compile(
    _LEADING_COMMENTS
    + r"(?:SELECT\b|INSERT INTO\b|UPDATE\s|DELETE FROM\b|MERGE INTO\b|COPY\s|VALUES ?\(|EXPLAIN\b|DO \$"
    r"|WITH \w+(?: \(.*\))? AS\b|(?:CREATE|ALTER|DROP|TRUNCATE|LOCK|SHOW)\s|(?:LISTEN|UNLISTEN|NOTIFY)\s"
    r"|SET (?:LOCAL\b|SESSION\b|CONSTRAINTS\b|\w+ ?(?:=|TO\b))|(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|VACUUM|ANALYZE)\b)"
)
_STATEMENT_IN_ANY_CASE: Final = re.compile(
    r"(?is)\binsert\s+into\s+\w+\s*\(|\bdelete\s+from\s+\w+\s+(?:where|using)\b|\bupdate\s+\w+\s+set\s+\w+\s*="
    r"|\bselect\s+[\w*,.() ]+\s+from\s+\w+\s+(?:where|order|limit|for|join)\b|\bpg_(?:notify|advisory\w*)\s*\("
)
_EXECUTES: Final = frozenset({"execute", "executemany", "executescript", "exec_driver_sql"})
_TAKES_SQL: Final = _EXECUTES | {"copy", "SQL", "text", "DDL"}

_BUILDS_SQL: Final = re.compile(r"(?:alembic|asyncpg|sqlalchemy|psycopg\.sql)(?:\.|$)")
_BUILDS_NOTHING: Final = re.compile(r"^sqlalchemy\.exc\.|\.(?:Async)?(?:Connection|Engine)$")

_FORBIDDEN_SQL: Final = {
    re.compile(r"(?i)\bFOR\s+UPDATE\b"): "FOR UPDATE blocks intake through the foreign keys: FOR NO KEY UPDATE",
    re.compile(r"(?i)\bSELECT\s+(?:\w+\.)?\*"): "name the columns: a new one must not change what is read",
    re.compile(r"(?i)\bOFFSET\s+[%:\d$]"): "slow on page 1,000: continue after a key",
}


def sql_is_in_shared_database(source: Source) -> Iterator[Finding]:
    """Find SQL, and the sending of it, outside `shared/database`."""
    if source.path.startswith("shared/database/"):
        return
    for string in strings(source):
        text = str(string.value)
        if found := _STATEMENT.match(text) or _STATEMENT_IN_ANY_CASE.search(text):
            yield Finding(string.lineno, found[0].strip(), "make it a function under shared/database")
    for call in calls(source):
        if called_name(call) in _EXECUTES and call.args:
            yield Finding(call.lineno, called_name(call), "make it a function under shared/database")


def sql_is_built_in_shared_database(source: Source) -> Iterator[Finding]:
    """Find what builds SQL outside `shared/database`. Naming a connection, to pass it on, or an error builds none."""
    if source.path.startswith("shared/database/"):
        return
    for line, name in _imports(source):
        if _BUILDS_SQL.match(name) and not _BUILDS_NOTHING.search(name):
            yield Finding(line, name, "make it a function under shared/database")


def sql_is_constant(source: Source) -> Iterator[Finding]:
    """Find SQL put together at run time: values go in as parameters, names through `psycopg.sql.Identifier`."""
    put_together = {
        target.id
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and _is_put_together(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in calls(source):
        if called_name(call) in _TAKES_SQL and call.args:
            sql = call.args[0]
            if _is_put_together(sql) or (isinstance(sql, ast.Name) and sql.id in put_together):
                yield Finding(call.lineno, called_name(call), "SQL is a constant; values are parameters")


def commits_are_blocks(source: Source) -> Iterator[Finding]:
    """Find commits that can be forgotten, or reached after an error: a block ends its transaction in every case."""
    for call in calls(source):
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"commit", "rollback"} and not call.args:
            yield Finding(call.lineno, call.func.attr, "open the transaction as a block, in the use case")


def sql_says_nothing_forbidden(source: Source) -> Iterator[Finding]:
    """Find locks that block intake, `*`, and pages that get slower as they go on; in SQL and in SQLAlchemy's words."""
    for string in strings(source):
        for pattern, remedy in _FORBIDDEN_SQL.items():
            if found := pattern.search(str(string.value)):
                yield Finding(string.lineno, found[0], remedy)
    for call in calls(source):
        keywords = {keyword.arg for keyword in call.keywords}
        if called_name(call) == "with_for_update" and not keywords & {"key_share", "read"}:
            yield Finding(call.lineno, "with_for_update", "key_share=True makes it FOR NO KEY UPDATE")
        if called_name(call) == "offset" and isinstance(call.func, ast.Attribute):
            yield Finding(call.lineno, "offset", "slow on page 1,000: continue after a key")


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case _:
                pass


def _is_put_together(node: ast.expr) -> bool:
    match node:
        case ast.JoinedStr(values=parts):
            return any(isinstance(part, ast.FormattedValue) for part in parts)
        case ast.BinOp(op=ast.Add() | ast.Mod(), left=left, right=right):
            return any(_is_text(side) for side in (left, right))
        case ast.Call(func=ast.Attribute(value=text, attr="format" | "join" | "replace")):
            return _is_text(text)
        case _:
            return False


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr() | ast.Name():
            return True
        case _:
            return _is_put_together(node)
