"""The source tree as the architecture tests see it: packages, files, syntax trees."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = ("domain", "postgres", "read_side", "write_side", "projections", "api")

VERTICALS = (
    "asset_allocation",
    "batch",
    "execution",
    "investment_model",
    "order",
    "portfolio",
    "prices",
    "rebalance",
    "securities",
)
"""Every vertical is named here once; it then has to have its six files."""

HOMES_OF_A_VERTICAL = ("domain", "write_side", "projections", "read_side", "api/commands", "api/queries")

_CODE = (*PACKAGES, "benchmarks", "migrations", "samples", "clients", "tests")


def existing_packages() -> list[str]:
    """Return those of our packages that are there; that all are is a test of its own."""
    return [name for name in PACKAGES if (ROOT / name / "__init__.py").exists()]


def python_files(*folders: str) -> Iterator[Path]:
    """Yield the Python files written by hand in these folders (in all of ours when none is named)."""
    for folder in folders or _CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.stem.endswith(("_pb2", "_pb2_grpc")):
                yield path


@cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of the file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    """Return where something is, as an editor takes it: ``domain/portfolio.py:17``."""
    name = path.relative_to(ROOT).as_posix()
    return f"{name}:{node.lineno}" if isinstance(node, ast.stmt | ast.expr | ast.excepthandler) else name


def called_name(call: ast.Call) -> str:
    """Return the last part of what is called: ``connect`` of ``psycopg.connect()``."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
