"""Rules on the code itself: nothing happens at import, money is no float, no error is swallowed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture.tree import PACKAGES, called_name, parse, place, python_files

if TYPE_CHECKING:
    from collections.abc import Iterator

_DECLARATIONS = (
    ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
)

# Calls that reach outside the process, start something or read settings: never while a module is imported.
_WORK = {
    "AsyncConnectionPool", "ConnectionPool", "FastAPI", "Popen", "ProcessPoolExecutor", "Redis", "Settings", "Thread",
    "ThreadPoolExecutor", "connect", "create_async_engine", "create_engine", "from_url", "getenv", "open", "read_bytes",
    "read_text", "run",
}  # fmt: skip


def test_nothing_happens_at_import() -> None:
    found = [
        place(path, statement)
        for path in python_files(*PACKAGES, "benchmarks")
        for statement in parse(path).body
        if not _declares(statement)
    ]
    assert found == []


def _declares(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):  # a docstring, also of a constant
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=value):
            return value is None or not _WORK & {called_name(call) for call in _calls_made_now(value)}
        case _:
            return isinstance(statement, _DECLARATIONS)


def _calls_made_now(value: ast.AST) -> Iterator[ast.Call]:
    if isinstance(value, ast.Lambda):
        return
    if isinstance(value, ast.Call):
        yield value
    for child in ast.iter_child_nodes(value):
        yield from _calls_made_now(child)


def test_the_domain_knows_no_float() -> None:
    found = [
        place(path, node)
        for path in python_files("domain")
        for node in ast.walk(parse(path))
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]
    assert found == []


def test_who_catches_everything_raises_or_reports() -> None:
    found = [
        place(path, node)
        for path in python_files(*PACKAGES, "benchmarks")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node) and not _passes_on(node)
    ]
    assert found == []


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(names & {"Exception", "BaseException"})


_SAYS = {"debug", "error", "info", "isinstance", "print", "repr", "str", "type", "warning"}


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Raise, ``report(...)``, ``log.exception(...)``, ``future.set_exception(error)``, or give the error to a call.

    To log its text is not enough; whether the call does something sensible with the error is for the reader to judge.
    """
    return any(
        isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and _reports(node, handler.name))
        for statement in handler.body
        for node in ast.walk(statement)
    )


def _reports(call: ast.Call, error: str | None) -> bool:
    name = called_name(call)
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(word in name for word in ("report", "exception")) or (
        name not in _SAYS and any(isinstance(value, ast.Name) and value.id == error for value in given)
    )
