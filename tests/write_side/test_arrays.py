"""Arrays packed by hand arrive as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from write_side.adapters import arrays

KINDS: list[tuple[str, Callable[[Any], arrays.Packed], st.SearchStrategy[Any]]] = [
    ("text", arrays.texts, st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
    ("bytea", arrays.blobs, st.binary()),
    ("bigint", arrays.bigints, st.integers(-(2**63), 2**63 - 1)),
    ("int", arrays.ints, st.integers(-(2**31), 2**31 - 1)),
    ("uuid", arrays.uuids, st.none() | st.uuids()),
]


@pytest.mark.parametrize(("kind", "pack", "items"), KINDS, ids=[kind for kind, _, _ in KINDS])
def test_what_is_packed_is_what_arrives(
    database_url: str, kind: str, pack: Callable[[Sequence[Any]], arrays.Packed], items: st.SearchStrategy[Any]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        arrays.register(connection)

        @settings(max_examples=60, deadline=None)
        @given(st.lists(items, max_size=20))
        def arrives(values: list[Any]) -> None:
            found = connection.execute(f"select %b::{kind}[]", (pack(values),), binary=True).fetchone()
            assert found is not None
            assert [bytes(item) if kind == "bytea" else item for item in found[0]] == values

        arrives()


def test_half_a_surrogate_pair_and_a_nul_are_refused(database_url: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        arrays.texts(["\ud800"])
    with psycopg.connect(database_url, autocommit=True) as connection:
        arrays.register(connection)
        with pytest.raises(psycopg.DataError):
            connection.execute("select %b::text[]", (arrays.texts(["a\0b"]),))


def test_uuids_keep_their_order(database_url: str) -> None:
    values: list[UUID | None] = [uuid4() for _ in range(100)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        arrays.register(connection)
        found = connection.execute("select unnest(%b::uuid[])", (arrays.uuids(values),)).fetchall()
    assert [value for (value,) in found] == values
