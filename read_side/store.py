"""The port to the views: what a view is, how its pages are stored and how it is asked; neutral to the technology."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import UnionType
from typing import Any, Generic, Protocol, TypeVar, get_args

import msgspec

from domain.errors import FoliologError

_encode = msgspec.json.Encoder(order="deterministic").encode


class Fenced(FoliologError):
    """The view is no longer where the writer of a page believes it is; nothing of the page was stored."""

    code = "fenced"


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a view knows of one thing: facts that are a function of the log alone.

    ``position`` is that of the last event that changed the row.
    """

    position: int


R = TypeVar("R", bound=Row)


class Kind(StrEnum):
    """How a field can be searched."""

    KEYWORD = "keyword"
    """Equal to, and sorted by code point."""
    TEXT = "text"
    """Contains, whatever the case."""
    POSITION = "position"
    MOMENT = "moment"
    NUMBER = "number"


@dataclass(frozen=True, kw_only=True, eq=False)
class View(Generic[R]):
    """A view as data. ``name`` is a plural noun that is never renamed; ``key`` and ``fields`` name members of the row.

    ``row`` may be a union of tagged kinds: ``key`` is a member of each, a field of at least one; a view without fields
    needs none, it is not searched. ``hot`` is the key of a row in the hot copy with ``{}`` for its own key; a view
    without it has no hot copy. Raise ``version`` when a projector changes what a row means: a view of another shape is
    rebuilt, not continued. Its projection may ``rest`` so many seconds between two pages, so that these are fewer and
    larger; who waits for a position wakes it. A ``copied`` view may have a search copy beside it (``SearchCopy``).
    """

    name: str
    row: type[R] | UnionType
    key: str = ""
    fields: Mapping[str, Kind] = field(default_factory=dict)
    hot: str | None = None
    version: int = 1
    rest: float = 0.0
    copied: bool = False

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[R]:
        return msgspec.json.Decoder(self.row)

    def encode(self, row: R) -> bytes:
        """Return the canonical bytes of a row: equal rows have equal bytes."""
        return _encode(row)

    def decode(self, body: bytes | memoryview) -> R:
        """Return the row with these bytes; raises ``msgspec.MsgspecError``."""
        return self._decoder.decode(body)

    @property
    def kinds(self) -> tuple[type[R], ...]:
        """The classes of the rows: one, or those of the union."""
        return get_args(self.row) or (self.row,)

    @cached_property
    def shape(self) -> str:
        """A digest of version, members and fields: views of equal shape can be continued by each other's projector."""
        kinds: list[Any] = [*self.kinds]
        members: list[Any] = _members(kinds[0])
        if len(kinds) > 1:
            members = sorted((kind.__struct_config__.tag, _members(kind)) for kind in kinds)
        fields = sorted((name, str(kind)) for name, kind in self.fields.items())
        return f"v{self.version}-{hashlib.sha256(repr((members, fields)).encode()).hexdigest()[:16]}"


def _members(kind: type[Row]) -> list[tuple[str, str]]:
    return [(member.name, str(member.type)) for member in msgspec.structs.fields(kind)]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Up to where in the log a view is made, and which build of it this is (a rebuild begins another generation)."""

    position: int
    generation: int


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """The rows changed by the events after ``expected`` up to ``position``; None removes a row."""

    rows: Mapping[str, R | None]
    expected: Checkpoint
    position: int


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """Rows by key, those that exist, and the checkpoint at which all of them were read."""

    rows: Mapping[str, R]
    checkpoint: Checkpoint


class ViewStore(Protocol):
    """Durable views: what is answered is the view at one checkpoint, never half a page."""

    async def prepare(self, view: View[Any]) -> Checkpoint:
        """Make the view where it is missing, empty and at position 0; return where it stands.

        Any number of processes may call it at once. Raises ``Broken`` where the view has another shape.
        """

    async def checkpoint(self, view: View[Any]) -> Checkpoint:
        """Return where the view stands."""

    async def get_many(self, view: View[R], keys: Iterable[str]) -> Rows[R]:
        """Return those of the rows that exist, with the checkpoint they were read at."""

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        """Store rows and checkpoint, both or neither.

        Raises ``Fenced`` when the view is not at ``page.expected``: then nothing is stored.
        """

    async def wait_for(self, view: View[Any], position: int, wait: float) -> None:
        """Return once the view's checkpoint is at this position or above; raises ``NotYet`` after ``wait`` seconds."""


class ProjectionStore(ViewStore, Protocol):
    """What the one leader of a projection may do beside writing pages; all of it only while it leads."""

    async def resume(self, view: View[Any]) -> None:
        """Say that the projection runs."""

    async def stop(self, view: View[Any], error: str) -> None:
        """Say that the projection has stopped where it stands, and why."""

    async def parked(self, view: View[Any]) -> frozenset[int]:
        """Return the positions an operator has told this projection to pass over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A question to a view; every condition given must hold.

    ``equals`` holds members by field name, ``between`` a lowest and a greatest one, both included, None for no limit;
    ``text`` must be contained in one of ``text_fields``. ``sort`` is a field name, with ``-`` before it for the
    greatest first; the row's key decides between equals. ``cursor`` is the ``next`` of the page before; ``key_below``
    limits the rows to keys before this one by code point. A row without a value in a field fits no condition on it
    and has no place in its order: such a search does not find it. A field of texts has neither values nor an order.
    The caller has waited for ``at_least``: a copy that does not include the log up to there must not answer.
    """

    equals: Mapping[str, Any] = field(default_factory=dict)
    between: Mapping[str, tuple[Any | None, Any | None]] = field(default_factory=dict)
    key_below: str | None = None
    text: str | None = None
    text_fields: tuple[str, ...] = ()
    sort: str
    limit: int = 50
    cursor: str | None = None
    at_least: int = 0


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """One page of an answer: its rows, the cursor of the next page or None, and the checkpoint it was read at."""

    rows: list[R]
    next: str | None
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list of which one part is shown, by number, and all are counted; every condition given must hold.

    ``equals`` holds members by field name, ``any_of`` several of them of which the row has one; a value that no row can
    have fits none. ``has`` names a field in which a row must have a value: so one kind of rows is listed where a view
    has several. ``sort`` holds names of fields, or of the row's key, with ``-`` before it for the greatest first; texts
    are sorted by code point, rows without a value come last in both directions, and the row's key, ascending, decides
    between equals. From ``offset`` on there are ``limit`` rows, all of them for None. A field of texts has neither
    values nor an order: what people search in and sort by needs a field of keywords. ``at_least`` is as in ``Search``.
    """

    equals: Mapping[str, Any] = field(default_factory=dict)
    any_of: Mapping[str, Collection[Any]] = field(default_factory=dict)
    has: str | None = None
    sort: tuple[str, ...] = ()
    offset: int = 0
    limit: int | None = None
    at_least: int = 0


@dataclass(frozen=True, slots=True)
class Counted(Generic[R]):
    """The part of a list that was asked for, how many rows it has in all, and the checkpoint both were read at."""

    rows: list[R]
    total: int
    checkpoint: Checkpoint


class SearchableViewStore(ViewStore, Protocol):
    """Durable views that can be searched by their fields."""

    async def search(self, view: View[R], search: Search) -> Found[R]:
        """Return a page of the rows that fit; raises ``Invalid`` for a cursor that is not of this search."""

    async def listed(self, view: View[R], listed: Listed) -> Counted[R]:
        """Return a part of the rows that fit, and how many there are; raises ``ValueError`` for a field of texts."""


class SearchCopy(Protocol):
    """A copy of views in a search engine, which may be behind, away or of another log; it never answers wrongly."""

    async def search(self, view: View[R], search: Search) -> Found[R] | None:
        """Return what ``SearchableViewStore.search`` does, or None where the copy cannot answer that now."""

    async def listed(self, view: View[R], listed: Listed) -> Counted[R] | None:
        """Return what ``SearchableViewStore.listed`` does, or None where the copy cannot answer that now."""


class HotCopy(Protocol):
    """A copy of views in memory that may lose anything at any time, and is never worse than absent."""

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        """Take over a page before it is durable; the copy's rows are then at ``page.position`` or above.

        A page without rows at its own position says where the durable view stands. Never raises: a copy that misses a
        page notices at the next one and begins anew.
        """

    async def read(self, view: View[R], keys: list[str]) -> HotRows[R] | None:
        """Return what the copy has; None when it cannot be used now."""

    async def refill(self, view: View[R], rows: Rows[R]) -> None:
        """Take rows read from the durable view where the copy has none; never replaces something newer."""


@dataclass(frozen=True, slots=True)
class HotRows(Generic[R]):
    """Rows of the hot copy, those it has, which include every event up to ``position``."""

    rows: Mapping[str, R]
    position: int
