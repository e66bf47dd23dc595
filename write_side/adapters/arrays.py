"""PostgreSQL arrays packed by hand: what a group costs the client was mostly the driver's general way with lists.

One-dimensional arrays in the binary format of ``array_send``: dimensions, whether there are nulls, element type,
length and lower bound, then each element with its length before it (-1 for null).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_HEADER = Struct("!iiIii")
_EMPTY = Struct("!iiI")
_LENGTH = Struct("!i").pack
_NULL = _LENGTH(-1)
_SIXTEEN = _LENGTH(16)

BYTEA, INT8, INT4, TEXT, UUID_OID = 17, 20, 23, 25, 2950


class Packed(bytes):
    """The binary form of an array; the statement says its type by a cast."""

    __slots__ = ()


class PackedDumper(Dumper):
    """Hands the bytes over as they are."""

    format = Format.BINARY
    oid = 0

    def dump(self, obj: Packed) -> Buffer:
        return obj


def register(connection: psycopg.AsyncConnection[Any] | psycopg.Connection[Any]) -> None:
    """Teach the connection to send packed arrays."""
    connection.adapters.register_dumper(Packed, PackedDumper)


def texts(items: Sequence[str | None]) -> Packed:
    """Return a ``text[]``; raises ``UnicodeEncodeError`` for half a surrogate pair."""
    return _array(TEXT, [None if item is None else item.encode() for item in items])


def blobs(items: Sequence[bytes]) -> Packed:
    """Return a ``bytea[]``."""
    return _array(BYTEA, items)


def bigints(items: Sequence[int]) -> Packed:
    """Return a ``bigint[]``."""
    pairs = [number for item in items for number in (8, item)]
    return Packed(_head(INT8, len(items), nulls=0) + pack("!" + "iq" * len(items), *pairs))


def ints(items: Sequence[int]) -> Packed:
    """Return an ``int[]``."""
    pairs = [number for item in items for number in (4, item)]
    return Packed(_head(INT4, len(items), nulls=0) + pack("!" + "ii" * len(items), *pairs))


def uuids(items: Sequence[UUID | None]) -> Packed:
    """Return a ``uuid[]``."""
    parts = [_NULL if item is None else _SIXTEEN + item.bytes for item in items]
    return Packed(_head(UUID_OID, len(items), nulls=1) + b"".join(parts))


def _array(element: int, items: Sequence[bytes | None]) -> Packed:
    parts = [_NULL if item is None else _LENGTH(len(item)) + item for item in items]
    return Packed(_head(element, len(items), nulls=1) + b"".join(parts))


def _head(element: int, length: int, *, nulls: int) -> bytes:
    return _HEADER.pack(1, nulls, element, length, 1) if length else _EMPTY.pack(0, 0, element)
