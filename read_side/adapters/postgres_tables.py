"""The tables of the views and the SQL on them, built with SQLAlchemy Core and given to psycopg as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

from read_side.store import Kind, Row, Search, View
from read_side.texts import folded

_TYPES: Mapping[Kind, TypeEngine[Any]] = {
    Kind.KEYWORD: Text(collation="C"),
    Kind.TEXT: Text(collation="C"),
    Kind.POSITION: BigInteger(),
    Kind.MOMENT: DateTime(timezone=True),
    Kind.NUMBER: Numeric(),
}
_NAME = re.compile(r"(?!.*_(?:old|v\d+)\Z)[a-z][a-z_0-9]{0,39}\Z")

checkpoints = Table(
    "checkpoints",
    MetaData(schema="app"),
    Column("view", Text, primary_key=True),
    Column("position", BigInteger),
    Column("generation", BigInteger),
    Column("updated_at", DateTime(timezone=True)),
)
gone_keys = Table(
    "gone",
    MetaData(schema="app"),
    Column("view", Text, primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("position", BigInteger),
)


def schema_of(view: View[Any], suffix: str = "") -> str:
    """Return the schema of the live view, or of another build of it by its suffix."""
    if not _NAME.match(view.name):
        raise ValueError(f"{view.name!r} cannot name a view: use a-z, 0-9 and _, without _old or _v1 at its end")
    return f"rm_{view.name}{suffix}"


@cache
def table(view: View[Any], suffix: str = "") -> Table:
    """Return the table of the view: key, canonical bytes, position, and a column for each field to search by."""
    for name in (view.key, *view.fields) if view.fields else ():
        if not any(hasattr(kind, name) for kind in view.kinds):
            raise ValueError(f"view {view.name} has no row with a member {name}")
    fields = [Column(name, _TYPES[kind]) for name, kind in view.fields.items()]
    return Table(
        view.name,
        MetaData(schema=schema_of(view, suffix)),
        Column("key", Text(collation="C"), primary_key=True),
        Column("body", LargeBinary, nullable=False),
        Column("position", BigInteger, nullable=False),
        *fields,
    )


def definitions(view: View[Any], suffix: str = "") -> list[str]:
    """Return the statements that make one build of the view, without its indexes.

    Pages leave room: what is searched by seldom changes, so most updates touch no index.
    """
    schema = schema_of(view, suffix)
    return [
        f'create schema "{schema}"',
        f"{sql(CreateTable(table(view, suffix)))} with (fillfactor = 70)",
        f'comment on table "{schema}"."{view.name}" is \'{view.shape}\'',
    ]


def indexes(view: View[Any], suffix: str, trigrams: str | None) -> list[str]:
    """Return the statements that make the indexes; ``trigrams`` is the schema of ``pg_trgm`` where there is one."""
    made = table(view, suffix)
    statements = []
    for name, kind in view.fields.items():
        if kind is not Kind.TEXT:
            statements.append(sql(CreateIndex(Index(f"{view.name}_{name}_idx", made.c[name], made.c.key))))
        elif trigrams is not None:
            operators = {name: f"{trigrams}.gin_trgm_ops"}
            index = Index(f"{view.name}_{name}_idx", made.c[name], postgresql_using="gin", postgresql_ops=operators)
            statements.append(sql(CreateIndex(index)))
    if view.copied:
        statements.append(changed_index(view, suffix))
    return statements


def changed_index(view: View[Any], suffix: str = "") -> str:
    """Return the statement that makes, where it is missing, what copies read a view by: rows by their last change."""
    made = table(view, suffix)
    return sql(CreateIndex(Index(f"{view.name}_changed_idx", made.c.position, made.c.key), if_not_exists=True))


@cache
def get_many(view: View[Any]) -> str:
    """Checkpoint and rows in one snapshot; arguments ``view``, ``keys``; a missing row is no row, its key null."""
    rows = table(view)
    wanted = rows.c.key == func.any(bindparam("keys", type_=ARRAY(Text)))
    query = (
        select(checkpoints.c.position, checkpoints.c.generation, rows.c.key, rows.c.body)
        .select_from(checkpoints.outerjoin(rows, wanted))
        .where(checkpoints.c.view == bindparam("view", type_=Text))
    )
    return sql(query)


@cache
def save_page(view: View[Any]) -> str:
    """A page in one statement, so in one transaction and one round trip; no row back: fenced.

    The fence is the update of the checkpoint, on which everything else depends. It waits for a rebuild that is being
    switched, and then finds another generation.
    """
    fence = (
        update(checkpoints)
        .where(
            checkpoints.c.view == bindparam("view", type_=Text),
            checkpoints.c.position == bindparam("expected", type_=BigInteger),
            checkpoints.c.generation == bindparam("generation", type_=BigInteger),
        )
        .values(position=bindparam("new_position", type_=BigInteger), updated_at=func.now())
        .returning(checkpoints.c.position)
        .cte("fence")
    )
    held = select(literal_column("1")).select_from(fence).exists()
    rows = table(view)
    gone = delete(rows).where(rows.c.key == func.any(bindparam("gone", type_=ARRAY(Text))), held).cte("gone")
    told = func.pg_notify(literal_column("'checkpoints'"), bindparam("message", type_=Text))
    page = [gone, _upsert(rows).cte("saved"), *([_remembered().cte("remembered")] if view.copied else [])]
    return sql(select(told).select_from(fence).add_cte(*page))


def _remembered() -> Any:
    """Keep the keys of rows that go, for copies of the view: gone at the position of the page."""
    keys = func.unnest(bindparam("gone", type_=ARRAY(Text))).table_valued("key").render_derived(name="going")
    view, position = bindparam("view", type_=Text), bindparam("new_position", type_=BigInteger)
    source = select(view, keys.c.key, position).where(literal_column("exists (select from fence)"))
    statement = insert(gone_keys).from_select(["view", "key", "position"], source)
    return statement.on_conflict_do_update(
        index_elements=[gone_keys.c.view, gone_keys.c.key], set_={"position": statement.excluded.position}
    )


@cache
def save_rows(view: View[Any], suffix: str) -> str:
    """Insert or replace rows of a build that nobody reads yet."""
    return sql(_upsert(table(view, suffix), fenced=False))


def _upsert(rows: Table, *, fenced: bool = True) -> Any:
    """Insert or replace from arrays, one for each column and named like it."""
    names = [column.name for column in rows.columns]
    arrays = [bindparam(column.name, type_=ARRAY(column.type)) for column in rows.columns]
    page = func.unnest(*arrays).table_valued(*names).render_derived(name="page")
    source = select(*(page.c[name] for name in names))
    if fenced:
        source = source.where(literal_column("exists (select from fence)"))
    statement = insert(rows).from_select(names, source)
    changed = {name: statement.excluded[name] for name in names if name != "key"}
    return statement.on_conflict_do_update(index_elements=[rows.c.key], set_=changed)


def columns(view: View[Any], rows: Mapping[str, Row | None]) -> dict[str, list[Any]]:
    """Return the arguments of an upsert: an array for each column."""
    kept = [(key, row) for key, row in rows.items() if row is not None]
    arrays: dict[str, list[Any]] = {
        "key": [key for key, _ in kept],
        "body": [view.encode(row) for _, row in kept],
        "position": [row.position for _, row in kept],
    }
    for name, kind in view.fields.items():
        values: Iterable[Any] = (getattr(row, name, None) for _, row in kept)
        arrays[name] = [value and folded(value) for value in values] if kind is Kind.TEXT else list(values)
    return arrays


@lru_cache(maxsize=500)
def _search(
    view: View[Any],
    equals: tuple[str, ...],
    lowest: tuple[str, ...],
    greatest: tuple[str, ...],
    texts: tuple[str, ...],
    sort: str,
    *,
    below: bool,
    resumed: bool,
) -> str:
    rows = table(view)
    name, descending = sort.lstrip("-"), sort.startswith("-")
    conditions = [rows.c[field] == bindparam(f"is_{field}", type_=rows.c[field].type) for field in equals]
    conditions += [rows.c[field] >= bindparam(f"from_{field}", type_=rows.c[field].type) for field in lowest]
    conditions += [rows.c[field] <= bindparam(f"to_{field}", type_=rows.c[field].type) for field in greatest]
    if below:
        conditions.append(rows.c.key < bindparam("below", type_=Text(collation="C")))
    if texts:
        pattern = bindparam("pattern", type_=Text(collation="C"))
        conditions.append(or_(*(rows.c[field].like(pattern) for field in texts)))
    if name not in {*equals, *lowest, *greatest}:
        conditions.append(rows.c[name].is_not(None))
    # Where the field is the same in all of them, the key is the place: PostgreSQL would pass over the rows before.
    places = ["key"] if name in equals else [name, "key"]
    if resumed:
        lasts = [bindparam(f"last_{'key' if each == 'key' else 'value'}", type_=rows.c[each].type) for each in places]
        place, last = tuple_(*(rows.c[each] for each in places)), tuple_(*lasts)
        conditions.append(place < last if descending else place > last)
    found = (
        select(rows.c.body, *(rows.c[each].label(f"place_{each}") for each in places))
        .where(*conditions)
        .order_by(*(rows.c[each].desc() if descending else rows.c[each] for each in places))
        .limit(bindparam("limit", type_=BigInteger))
        .subquery("found")
    )
    joined = checkpoints.outerjoin(found, literal_column("true"))
    query = (
        select(checkpoints.c.position, checkpoints.c.generation, found.c.body)
        .select_from(joined)
        .where(checkpoints.c.view == bindparam("view", type_=Text))
    )
    order = [found.c[f"place_{each}"] for each in places]
    return sql(query.order_by(*(each.desc() if descending else each for each in order)))


def search(view: View[Any], asked: Search, last: tuple[Any, str] | None) -> tuple[str, dict[str, Any]]:
    """Return the statement of a search and its arguments; one row more than the limit tells of a next page."""
    texts = asked.text_fields if asked.text else ()
    lowest = {name: low for name, (low, _) in sorted(asked.between.items()) if low is not None}
    greatest = {name: high for name, (_, high) in sorted(asked.between.items()) if high is not None}
    statement = _search(
        view,
        tuple(sorted(asked.equals)),
        tuple(lowest),
        tuple(greatest),
        texts,
        asked.sort,
        below=asked.key_below is not None,
        resumed=last is not None,
    )
    arguments: dict[str, Any] = {f"is_{name}": value for name, value in asked.equals.items()}
    arguments |= {f"from_{name}": value for name, value in lowest.items()}
    arguments |= {f"to_{name}": value for name, value in greatest.items()}
    arguments |= {"view": view.name, "limit": asked.limit + 1, "below": asked.key_below}
    if asked.text:
        arguments["pattern"] = "%" + re.sub(r"([\\%_])", r"\\\1", folded(asked.text)) + "%"
    if last is not None:
        arguments |= {"last_value": last[0], "last_key": last[1]}
    return statement, arguments


def sql(clause: ClauseElement | CreateTable | CreateIndex) -> str:
    """Return the statement as psycopg takes it."""
    text = str(clause.compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]
    return re.sub(r"%\((\w+)\)s", r"%(\1)b", text)  # binary: as text every body is escaped by a regular expression
