"""Lists by number in PostgreSQL: one part of them and how many there are, in one statement and so in one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    Text,
    bindparam,
    func,
    literal_column,
    nulls_last,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from domain.errors import Broken
from read_side.adapters.postgres_tables import checkpoints, sql, table
from read_side.cursors import check_listed
from read_side.slices import Slices
from read_side.store import Checkpoint, Counted, Listed, R, View
from read_side.texts import storable


def statement(view: View[Any], asked: Listed) -> tuple[str, dict[str, Any]]:
    """Return the statement of a list and its arguments.

    Raises ``ValueError`` for a name that is no field, and for a field of texts.
    """
    check_listed(view, asked)
    any_of = {f"any_{name}": [each for each in values if storable(each)] for name, values in asked.any_of.items()}
    equals = {f"is_{name}": [value] if storable(value) else [] for name, value in asked.equals.items()}
    text = _listed(view, tuple(sorted(asked.equals)), tuple(sorted(asked.any_of)), asked.has, asked.sort)
    return text, {**any_of, **equals, "view": view.name, "offset": asked.offset, "limit": asked.limit}


async def counted(view: View[R], rows: Sequence[tuple[Any, ...]]) -> Counted[R]:
    """Return the answer that these rows of the statement are, read with pauses: there can be thousands."""
    if not rows:
        raise Broken(f"view {view.name} has no checkpoint: it was never prepared")
    position, generation, total, _ = rows[0]
    found, slices = [], Slices()
    for *_, body in rows:
        if body is not None:
            found.append(view.decode(body))
            await slices.pause()
    return Counted(found, total, Checkpoint(position, generation))


@lru_cache(maxsize=500)
def _listed(
    view: View[Any], equals: tuple[str, ...], any_of: tuple[str, ...], has: str | None, sort: tuple[str, ...]
) -> str:
    rows = table(view)
    conditions = [_is_one(rows, field, f"is_{field}") for field in equals]
    conditions += [_is_one(rows, field, f"any_{field}") for field in any_of]
    if has is not None:
        conditions.append(rows.c[has].is_not(None))
    names = [each.removeprefix("-") for each in sort]
    places = [rows.c.key if name == view.key else rows.c[name] for name in names]
    never_null = [name == view.key or name in {*equals, *any_of, has} for name in names]

    def order(columns: Sequence[ColumnElement[Any]], key: ColumnElement[str]) -> list[ColumnElement[Any]]:
        return [*(_placed(*each) for each in zip(sort, columns, never_null, strict=True)), key]

    page = (
        select(rows.c.body, rows.c.key, *(place.label(f"place_{number}") for number, place in enumerate(places)))
        .where(*conditions)
        .order_by(*order(places, rows.c.key))
        .offset(bindparam("offset", type_=BigInteger))
        .limit(bindparam("limit", type_=BigInteger))
        .subquery("page")
    )
    total = select(func.count()).select_from(rows).where(*conditions).scalar_subquery()
    query = (
        select(checkpoints.c.position, checkpoints.c.generation, total, page.c.body)
        .select_from(checkpoints.outerjoin(page, literal_column("true")))
        .where(checkpoints.c.view == bindparam("view", type_=Text))
        .order_by(*order([page.c[f"place_{number}"] for number in range(len(places))], page.c.key))
    )
    return sql(query)


def _is_one(rows: Table, field: str, name: str) -> ColumnElement[bool]:
    return rows.c[field] == func.any(bindparam(name, type_=ARRAY(rows.c[field].type)))


def _placed(sort: str, column: ColumnElement[Any], never_null: bool) -> ColumnElement[Any]:
    """Return what is sorted by; nulls are told where to stand only where there are some, or no index would serve."""
    place = column.desc() if sort.startswith("-") else column.asc()
    return place if never_null else nulls_last(place)
