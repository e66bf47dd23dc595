"""Questions to views as bodies of requests to Elasticsearch, with the meaning that they have in PostgreSQL.

Every body also asks for the checkpoint of the index: one request is answered from one snapshot, so that what comes
back tells which state of the view it is of. That document is no row and only the aggregation sees it: what it costs
grows with the rows that fit, not with the index.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, Final

from read_side.adapters.elasticsearch_documents import CHECKPOINT
from read_side.adapters.elasticsearch_values import indexed
from read_side.store import Kind, Listed, Search, View
from read_side.texts import folded, storable

WINDOW: Final = 10_000
"""Elasticsearch answers with rows up to this number, the first being 1."""
_TERMS: Final = 65_536
"""It compares with so many values at most."""
_ROWS: Final = [{"exists": {"field": "key"}}]
_GONE: Final = [{"term": {"gone": True}}]
_STATED: Final = {"ids": {"values": [CHECKPOINT]}}
_STATES: Final = {
    CHECKPOINT: {
        "filter": _STATED,
        "aggs": {"documents": {"top_hits": {"size": 2, "sort": ["_doc"], "_source": [CHECKPOINT]}}},
    }
}
_SPECIAL: Final = re.compile(r"([*?\\])")


class Unfit(Exception):
    """Elasticsearch cannot be asked this, or not with the same meaning; the durable view can."""


def search(view: View[Any], asked: Search, last: tuple[Any, str] | None) -> dict[str, Any]:
    """Return the body of a search that begins behind this sort value and key; a row more tells of a next page.

    Raises ``Unfit`` for more rows than Elasticsearch gives, and for values that no row can have.
    """
    if asked.limit >= WINDOW:
        raise Unfit(f"{asked.limit} rows at once")
    name, order = asked.sort.lstrip("-"), "desc" if asked.sort.startswith("-") else "asc"
    conditions = [_is_one(field, [_value(view, field, value)]) for field, value in asked.equals.items()]
    for field, (low, high) in asked.between.items():
        conditions += _within(view, field, low, high)
    if asked.key_below is not None:
        conditions.append({"range": {"key": {"lt": _text(asked.key_below)}}})
    if asked.text and asked.text_fields:
        conditions.append(_contains(asked.text_fields, asked.text))
    conditions.append(_has(name))
    places = ["key"] if name in asked.equals else [_field(name), "key"]
    body = _body(conditions, [{place: {"order": order}} for place in places])
    body |= {"size": asked.limit + 1, "track_total_hits": False}
    if last is not None:
        value, key = last
        body["search_after"] = [key] if name in asked.equals else [_value(view, name, value), key]
    return body


def listed(view: View[Any], asked: Listed) -> dict[str, Any]:
    """Return the body of a list: its part as far as Elasticsearch gives it, see ``complete``.

    Raises ``Unfit`` for more values than it compares with, and for values that no row can have but texts.
    """
    wanted = [*((name, [value]) for name, value in asked.equals.items()), *asked.any_of.items()]
    conditions = [_is_one(name, _values(view, name, values)) for name, values in wanted]
    if asked.has is not None:
        conditions.append(_has(asked.has))
    body = _body(conditions, _order(view, asked.sort, {*asked.equals, *asked.any_of, asked.has}))
    size = min(WINDOW if asked.limit is None else asked.limit, max(WINDOW - asked.offset, 0))
    return body | {"from": asked.offset if size else 0, "size": size, "track_total_hits": True}


def complete(asked: Listed, total: int) -> bool:
    """Whether the rows that were given are all that were asked for, where there are so many in all."""
    end = total if asked.limit is None else min(total, asked.offset + asked.limit)
    return end <= max(WINDOW, asked.offset)


def _body(conditions: Collection[dict[str, Any]], order: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what finds the rows, in this order, and the checkpoint."""
    rows = {"bool": {"filter": [*_ROWS, *conditions], "must_not": _GONE}}
    return {
        "query": {"bool": {"filter": [{"bool": {"should": [_STATED, rows]}}]}},
        "post_filter": _ROWS[0],
        "aggs": _STATES,
        "sort": order,
        "_source": ["row"],
    }


def _order(view: View[Any], sort: Iterable[str], never_null: Collection[str | None]) -> list[dict[str, Any]]:
    """Return the order of a list: rows without a value last, between equals the key, ascending."""
    places: list[dict[str, Any]] = []
    for each in sort:
        name, order = each.removeprefix("-"), "desc" if each.startswith("-") else "asc"
        if name == view.key:
            places.append({"key": {"order": order}})
            continue
        places.append({_field(name): {"order": order, "missing": "_last"}})
        if view.fields[name] is Kind.POSITION and order == "asc" and name not in never_null:
            # Without a value a row stands there as if it had the greatest of all: behind those that do have it.
            places.append({_field(name): {"order": "desc", "missing": "_last"}})
    return [*places, {"key": {"order": "asc"}}]


def _field(name: str) -> str:
    return f"search.{name}"


def _has(name: str) -> dict[str, Any]:
    return {"exists": {"field": _field(name)}}


def _is_one(name: str, values: list[str | int | None]) -> dict[str, Any]:
    """Return the condition that the field has one of these values; nothing is equal to None."""
    if len(values) > _TERMS:
        raise Unfit(f"{len(values)} values of {name}")
    known = [value for value in values if value is not None]
    return {"terms": {_field(name): known}} if known else {"match_none": {}}


def _within(view: View[Any], name: str, low: Any, high: Any) -> list[dict[str, Any]]:
    ends = {"gte": _value(view, name, low), "lte": _value(view, name, high)}
    ends = {end: value for end, value in ends.items() if value is not None}
    return [{"range": {_field(name): ends}}] if ends else []


def _contains(names: Iterable[str], text: str) -> dict[str, Any]:
    pattern = "*" + _SPECIAL.sub(r"\\\1", folded(_text(text))) + "*"
    return {"bool": {"should": [{"wildcard": {_field(name): {"value": pattern}}} for name in names]}}


def _values(view: View[Any], name: str, values: Iterable[Any]) -> list[str | int | None]:
    """Return the values as they are indexed, without texts that no row can have."""
    return [_value(view, name, value) for value in values if storable(value)]


def _value(view: View[Any], name: str, value: Any) -> str | int | None:
    if not storable(value):
        raise Unfit(f"a value of {name} that no row can have")
    try:
        return indexed(view.fields[name], value)
    except (ValueError, TypeError) as error:
        raise Unfit(f"a value of {name}: {error}") from error


def _text(text: str) -> str:
    if not storable(text):
        raise Unfit("a text that no row can have")
    return text
