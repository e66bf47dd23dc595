"""Searches in the copies of views that Elasticsearch has, which are answered only where the copy is good enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import msgspec
import structlog
from elasticsearch import ApiError, AsyncElasticsearch, NotFoundError

from domain.errors import StoreUnavailable
from read_side.adapters import elasticsearch_queries as queries
from read_side.adapters.elasticsearch_documents import CHECKPOINT, alias_of, checkpoint_in, shape_of
from read_side.adapters.elasticsearch_link import served
from read_side.copies import CopyCheckpoint
from read_side.cursors import check_listed, cursor_of, resumed
from read_side.optional import Breaker, Link
from read_side.signals import Signals
from read_side.slices import Slices
from read_side.store import Checkpoint, Counted, Found, Listed, R, Search, View

_STATED: Final = f"aggregations.{CHECKPOINT}.documents.hits.hits._source"
_SHOWN: Final = f"hits.total.value,hits.hits._source.row,{_STATED}"
"""What is wanted of an answer: the rest would be as much again."""
_REST: Final = 0.1
"""Seconds for which a copy that was behind is believed to be still there."""
log = structlog.get_logger(__name__)


def guarded(client: AsyncElasticsearch, prefix: str, *, breaker: Breaker | None = None) -> Link[AsyncElasticsearch]:
    """Return the client with a breaker before it; ``prefix`` begins the names of what it may ask for."""

    async def touch() -> None:
        try:
            with served():
                await client.exists(index=f"{prefix}-any", id=CHECKPOINT)
        except ApiError as error:  # whatever it is that answers there: it is not what we can search in
            raise StoreUnavailable(f"what answers in the place of Elasticsearch refuses us: {error}") from error

    return Link(client, name="search copy", touch=touch, close=client.close, lost=(StoreUnavailable,), breaker=breaker)


class _Unusable(Exception):
    """The copy must not, or cannot, answer now; ``why`` in a word or two."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer of Elasticsearch: rows as JSON has them, how many there are in all where they were counted."""

    rows: list[Any]
    total: int
    stated: CopyCheckpoint

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Return what was answered; raises ``_Unusable`` where it does not tell of exactly one checkpoint."""
        hits = answer.get("hits", {})
        stated = answer.get("aggregations", {}).get(CHECKPOINT, {}).get("documents", {}).get("hits", {}).get("hits", ())
        if len(stated) != 1 or (checkpoint := checkpoint_in(stated[0].get("_source"))) is None:
            raise _Unusable("no checkpoint")
        rows = [hit["_source"]["row"] for hit in hits.get("hits", ())]
        return cls(rows, hits.get("total", {}).get("value", 0), checkpoint)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint as readers know it."""
        return Checkpoint(self.stated.position, self.stated.generation)


class ElasticsearchSearch:
    """The copies behind ``read_side.store.SearchCopy``.

    None is answered where the view is not copied, its index is missing, being written or of another log, build or
    shape, where it is behind ``at_least``, where Elasticsearch is away or refuses, and for the questions that it cannot
    answer as PostgreSQL does: rows beyond its first 10,000, more than 65,536 values to compare with, values that no
    column can hold. ``observe`` is told for each question to a copied view by its name what became of it: ``copy``
    where it was answered, else why not.
    """

    def __init__(
        self,
        link: Link[AsyncElasticsearch],
        prefix: str,
        signals: Signals,
        *,
        observe: Callable[[str, str], None] = lambda view, source: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._client, self._prefix, self._signals = link, link.client, prefix, signals
        self._observe, self._clock = observe, clock
        self._shapes: dict[str, str] = {}
        self._behind: dict[str, tuple[int, float]] = {}

    async def search(self, view: View[R], search: Search) -> Found[R] | None:
        last = resumed(view, search)
        answered = await self._answered(view, search.at_least, lambda: queries.search(view, search, last))
        if answered is None:
            return None
        rows, reply = answered
        following = cursor_of(view, search, rows[search.limit - 1]) if len(rows) > search.limit else None
        return Found(rows[: search.limit], following, reply.checkpoint)

    async def listed(self, view: View[R], listed: Listed) -> Counted[R] | None:
        check_listed(view, listed)
        answered = await self._answered(
            view, listed.at_least, lambda: queries.listed(view, listed), lambda total: queries.complete(listed, total)
        )
        if answered is None:
            return None
        rows, reply = answered
        return Counted(rows, reply.total, reply.checkpoint)

    async def _answered(
        self,
        view: View[R],
        at_least: int,
        ask: Callable[[], dict[str, Any]],
        complete: Callable[[int], bool] = lambda total: True,
    ) -> tuple[list[R], _Reply] | None:
        """Return the rows that the copy answers with, and its answer, if they count; ``ask`` returns the request.

        ``complete`` says whether the rows can be all that are wanted where there are so many.
        """
        if not view.copied:
            return None
        try:
            reply = await self._reply(view, at_least, ask())
            if not complete(reply.total):
                raise queries.Unfit("rows too far behind the first")
            rows = await self._rows(view, reply)
        except queries.Unfit:
            self._observe(view.name, "unfit")
        except _Unusable as unusable:
            self._observe(view.name, unusable.why)
        else:
            self._observe(view.name, "copy")
            return rows, reply
        return None

    async def _reply(self, view: View[Any], at_least: int, body: dict[str, Any]) -> _Reply:
        """Return what the copy of this view answers; raises ``_Unusable`` where that does not count."""
        position, until = self._behind.get(view.name, (at_least, 0.0))
        if position < at_least and self._clock() < until:
            raise _Unusable("behind")
        answer = await self._link.ask(lambda: self._send(view, body))
        if answer is None:
            raise _Unusable("away")
        reply = _Reply.of(answer)
        self._check(view, reply.stated, at_least)
        return reply

    async def _send(self, view: View[Any], body: dict[str, Any]) -> Mapping[str, Any]:
        try:
            with served():
                answer = await self._client.search(
                    index=alias_of(self._prefix, view),
                    body=body,
                    allow_partial_search_results=False,
                    filter_path=_SHOWN,
                )
        except NotFoundError as error:
            raise _Unusable("missing") from error
        except ApiError as error:
            log.warning("the search copy refuses a question", view=view.name, error=str(error))
            raise _Unusable("refused") from error
        return cast("Mapping[str, Any]", answer.body)

    def _check(self, view: View[Any], stated: CopyCheckpoint, at_least: int) -> None:
        """Raise ``_Unusable`` where a copy with this checkpoint must not answer."""
        if stated.epoch != self._signals.epoch:
            raise _Unusable("other log")
        if stated.generation != self._signals.checkpoint(view.name).generation or stated.shape != self._shape(view):
            raise _Unusable("other build")
        if stated.writing:
            raise _Unusable("writing")
        if stated.position < at_least:
            self._behind[view.name] = stated.position, self._clock() + _REST
            raise _Unusable("behind")

    def _shape(self, view: View[Any]) -> str:
        if view.name not in self._shapes:
            self._shapes[view.name] = shape_of(view)
        return self._shapes[view.name]

    async def _rows(self, view: View[R], reply: _Reply) -> list[R]:
        """Return the rows of the answer, read with pauses: there can be thousands."""
        rows: list[R] = []
        slices = Slices()
        try:
            for row in reply.rows:
                rows.append(msgspec.convert(row, type=view.row, str_keys=True))
                await slices.pause()
        except msgspec.ValidationError as error:
            log.warning("a row of the search copy cannot be read", view=view.name, error=str(error))
            raise _Unusable("unreadable") from error
        return rows
