"""What an index of Elasticsearch and the documents in it look like: its definition, rows, and the checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from domain.errors import Broken
from read_side.adapters.elasticsearch_values import indexed
from read_side.changes import Place
from read_side.copies import CopyCheckpoint
from read_side.slices import Slices
from read_side.store import Kind, R, Row, View

DEFINITIONS: Final = Path(__file__).parents[2] / "migrations" / "elasticsearch"
"""One file for each view that is copied: how its index is made."""
CHECKPOINT: Final = "checkpoint"
"""Id of the document that holds the checkpoint, and its one member."""

_TYPES: Final[Mapping[Kind, str]] = {
    Kind.KEYWORD: "keyword",
    Kind.TEXT: "keyword",
    Kind.POSITION: "long",
    Kind.MOMENT: "long",
    Kind.NUMBER: "keyword",
}
_ID_BYTES: Final = 512
"""Elasticsearch takes no longer id."""
_COUNT = 1_000
_BYTES = 5 * 2**20
"""A request has so many documents and bytes at most, but for one document that is larger."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def alias_of(prefix: str, view: View[Any]) -> str:
    """Return the name that is searched, of whatever index of this view is live."""
    return f"{prefix}-{view.name}"


def computed(view: View[Any]) -> dict[str, Any]:
    """Return settings and mappings of the view's index: what its file in ``DEFINITIONS`` says.

    One shard, so that an answer is of one moment; nothing is shown by itself, only by a commit.
    """
    return {
        "settings": {
            "index": {"number_of_shards": 1, "auto_expand_replicas": "0-1", "refresh_interval": "-1"},
        },
        "mappings": {
            "dynamic": "strict",
            "properties": {
                "key": {"type": "keyword"},
                "position": {"type": "long"},
                "gone": {"type": "boolean"},
                "row": {"type": "object", "enabled": False},
                "search": {
                    "dynamic": "strict",
                    "properties": {name: {"type": _TYPES[kind]} for name, kind in view.fields.items()},
                },
                CHECKPOINT: {"type": "object", "enabled": False},
            },
        },
    }


def definition(view: View[Any]) -> Mapping[str, Any]:
    """Return how the view's index is made, by its file; by what the view says where it has none.

    Raises ``Broken`` for a file that cannot be read.
    """
    path = DEFINITIONS / f"{view.name}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return computed(view)
    except (OSError, msgspec.MsgspecError) as error:
        raise Broken(f"{path} does not say how the index of view {view.name} is made: {error}") from error


def shape_of(view: View[Any]) -> str:
    """Return a digest of the view's shape and of how its index is made."""
    return f"{view.shape}-{hashlib.sha256(_encode(definition(view))).hexdigest()[:8]}"


def id_of(key: str) -> str | None:
    """Return the id of a row's document; None for a key that is too long for one."""
    made = f"row/{key}"
    return made if len(made.encode()) <= _ID_BYTES else None


def _id_of(view: View[Any], key: str) -> str:
    if (made := id_of(key)) is None:
        raise Broken(
            f"view {view.name} has a key of {len(key.encode())} bytes, {_ID_BYTES - 4} are the most that a copy "
            f"takes: {key!r}"
        )
    return made


def searched_by(view: View[R], row: R) -> dict[str, str | int]:
    """Return the member ``search``: what is searched and sorted by; a field without a value is left out.

    Raises ``Broken`` for a value that cannot be put in order.
    """
    found = {}
    for name, kind in view.fields.items():
        try:
            value = indexed(kind, getattr(row, name, None))
        except (ValueError, TypeError) as error:
            raise Broken(f"field {name} of a row of view {view.name} cannot be searched by: {error}") from error
        if value is not None:
            found[name] = value
    return found


def operation(view: View[R], place: Place, row: R | None) -> bytes:
    """Return the two lines that store a row where the index has none that is newer; a row that is gone is stored too.

    Raises ``Broken`` for one that has no place in an index.
    """
    version = {"_id": _id_of(view, place.key), "version": place.position, "version_type": "external"}
    document: dict[str, Any] = {"key": place.key, "position": place.position}
    if row is None:
        document["gone"] = True
    else:
        document["row"] = msgspec.Raw(view.encode(row))
        document["search"] = searched_by(view, row)
    return b"%s\n%s\n" % (msgspec.json.encode({"index": version}), msgspec.json.encode(document))


async def requests(view: View[R], rows: Sequence[tuple[Place, R | None]]) -> AsyncIterator[dict[str, bytes]]:
    """Yield what stores these rows, in pieces that a server likes: lines by key; the last row of a key counts."""
    piece: dict[str, bytes] = {}
    size, slices = 0, Slices()
    for place, row in rows:
        if row is None and id_of(place.key) is None:
            continue  # no index has ever had it
        lines = operation(view, place, row)
        if piece and (len(piece) == _COUNT or size + len(lines) > _BYTES):
            yield piece
            piece, size = {}, 0
        piece[place.key] = lines
        size += len(lines)
        await slices.pause()
    if piece:
        yield piece


def checkpoint_document(checkpoint: CopyCheckpoint) -> dict[str, Any]:
    """Return the document that holds the checkpoint."""
    return {CHECKPOINT: msgspec.to_builtins(checkpoint)}


def checkpoint_in(source: Any) -> CopyCheckpoint | None:
    """Return the checkpoint that this document holds; None where it holds none that we know."""
    try:
        return msgspec.convert(source[CHECKPOINT], CopyCheckpoint)
    except (KeyError, TypeError, msgspec.ValidationError):
        return None


def wrong_with(view: View[R], row: R | None, source: Mapping[str, Any] | None) -> str | None:
    """Return what this document of a row has wrong, None where it is as the row is; no document for None."""
    if source is None or source.get("gone"):
        return None if row is None else "the copy has no such row"
    if row is None:
        return "the view has no such row"
    if source.get("position") != row.position:
        return f"it is of position {source.get('position')}, in the view of {row.position}"
    try:
        held: Row = view.decode(msgspec.json.encode(source.get("row")))
    except msgspec.MsgspecError as error:
        return f"it cannot be read: {error}"
    if view.encode(held) != view.encode(row):  # type: ignore[arg-type]
        return "it has other content"
    return None if source.get("search") == searched_by(view, row) else "it is searched by other values"
