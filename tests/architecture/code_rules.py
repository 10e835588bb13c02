"""Rules over Python code that ruff, pyright and import-linter have no word for."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from tests.architecture.source import Finding, Source, called_name, calls

FUNCTION_LINES_MAX: Final = 60
"""A tripwire, docstring not counted. It asks for a reason, it does not order a split: a transaction cut into one-use
pieces reads worse than one straight function."""

COMPOSITION_ROOTS: Final = frozenset(
    {
        "api/bootstrap.py",
        "api/is_ready.py",
        "api/main.py",
        "shared/database/migrate.py",
        "shared/database/migrations/env.py",
        "worker/is_working.py",
        "worker/main.py",
    }
)

Function = ast.FunctionDef | ast.AsyncFunctionDef

_FIRST_SENTENCE: Final = re.compile(r"[A-Z`].*[.!?](?:\s|$)")
# `transaction` is PostgreSQL's word. As a plural, a class or beside one of these it means moved money.
_MONEY_TRANSACTION: Final = re.compile(
    r"transactions|(?:^|_)transaction_(?:id|ids|amount|row|rows|type|list|history|body|request|response|schema|out)(?:_|$)"
    r"|(?:^|_)(?:create|process|apply|post|submit|fetch|list|queue|queued|pending|wallet|user|money)_transaction(?:_|$)"
)
_IMPURE_BUILTINS: Final = {
    "open": "the domain does no I/O",
    "print": "the domain does no I/O",
    "input": "the domain does no I/O",
    "hash": "hash() is salted, two processes disagree: use the id's own bits or hashlib",
}


def opens_with_a_sentence(source: Source) -> Iterator[Finding]:
    """Find modules that do not say in one sentence why to open them. An empty `__init__.py` has nothing to say."""
    first_line = (ast.get_docstring(source.tree) or "").partition("\n")[0]
    if source.text.strip() and not _FIRST_SENTENCE.match(first_line):
        yield Finding(1, "", "open the module with one sentence, ended on the first line, that says why to open it")


def functions_are_short(source: Source) -> Iterator[Finding]:
    """Find functions that no longer fit on a page."""
    for function in _functions(source):
        lines = _last_line(function) - function.lineno + 1 - _docstring_lines(function)
        if lines > FUNCTION_LINES_MAX:
            remedy = f"{lines} lines, {FUNCTION_LINES_MAX} are the tripwire: make it steps with names, or say why"
            yield Finding(function.lineno, function.name, remedy)


def settings_are_passed_down(source: Source) -> Iterator[Finding]:
    """Find settings that are read anywhere but in a composition root."""
    if source.path in COMPOSITION_ROOTS:
        return
    remedy = "only composition roots read settings; everything else is given what it needs"
    for node in ast.walk(source.tree):
        match node:
            case ast.Call() if re.fullmatch(r"\w*Settings", called_name(node)):
                yield Finding(node.lineno, called_name(node), remedy)
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" as name):
                yield Finding(node.lineno, name, remedy)
            case ast.ImportFrom(module="os") if {alias.name for alias in node.names} & {"environ", "getenv"}:
                yield Finding(node.lineno, "os", remedy)
            case _:
                pass


def time_is_told(source: Source) -> Iterator[Finding]:
    """Find clocks besides `shared/clock.py`."""
    if source.path == "shared/clock.py":
        return
    remedy = "shared/clock.py is the one reader of the clock; pass on what it told"
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names) if "time" in {alias.name for alias in names}:
                yield Finding(node.lineno, "time", remedy)
            case ast.ImportFrom(module="time", level=0):
                yield Finding(node.lineno, "time", remedy)
            case _:
                pass


def domain_is_pure(source: Source) -> Iterator[Finding]:
    """Find builtins that reach outside, or that give another answer in another process."""
    for call in calls(source):
        if isinstance(call.func, ast.Name) and call.func.id in _IMPURE_BUILTINS:
            yield Finding(call.lineno, call.func.id, _IMPURE_BUILTINS[call.func.id])


def money_is_whole(source: Source) -> Iterator[Finding]:
    """Find fractions where money is reckoned: it is counted in whole minor units."""
    remedy = "money is whole minor units: integers, `//` and `divmod` only"
    for node in ast.walk(source.tree):
        match node:
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield Finding(node.lineno, "/", remedy)
            case ast.Constant(value=float()):
                yield Finding(node.lineno, str(node.value), remedy)
            case ast.Name(id="float" | "round" | "Decimal" as name):
                yield Finding(node.lineno, name, remedy)
            case _:
                pass


def transaction_is_postgresqls(source: Source) -> Iterator[Finding]:
    """Find *transaction* used for moved money, which is a *transfer* here."""
    for line, name in _defined_names(source):
        if name.startswith("Transaction") or _MONEY_TRANSACTION.search(name):
            yield Finding(line, name, "moved money is a transfer; a transaction is PostgreSQL's")


def unused_definitions(sources: Iterable[Source]) -> Iterator[tuple[Source, Finding]]:
    """Find what is defined and named nowhere else. Tests do not count: code that only tests call is dead.

    What is decorated is used by the decorator (routes, tasks, commands), what overrides is used by its base class.
    """
    sources = tuple(sources)
    words: dict[str, int] = {}
    for source in sources:
        for word in re.findall(r"\w+", source.text):
            words[word] = words.get(word, 0) + 1
    for source in sources:
        for definition in _removable(source):
            if words[definition.subject] == 1:
                yield source, definition


def _removable(source: Source) -> Iterator[Finding]:
    for node in source.tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if not node.decorator_list:
                yield Finding(node.lineno, node.name, "named nowhere else: delete it")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield Finding(node.lineno, name, "named nowhere else: delete it")
            case _:
                pass
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            yield from _removable_members(node)


def _removable_members(node: ast.ClassDef) -> Iterator[Finding]:
    for member in node.body:
        match member:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not (node.bases or member.decorator_list):
                if not member.name.startswith("__"):
                    yield Finding(member.lineno, member.name, "named nowhere else: delete it")
            case ast.AnnAssign(target=ast.Name(id=name)) if node.name.endswith("Settings"):
                yield Finding(member.lineno, name, "a setting that nobody reads: delete it")
            case _:
                pass


def _functions(source: Source) -> Iterator[Function]:
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def _defined_names(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case _:
                pass


def _docstring_lines(function: Function) -> int:
    match function.body[0]:
        case ast.Expr(value=ast.Constant(value=str())) as docstring:
            return _last_line(docstring) - docstring.lineno + 1
        case _:
            return 0


def _last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno
