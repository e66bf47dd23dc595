"""Search copies in Elasticsearch: an index for each build of a copy, and the alias of the one that is searched."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from elasticsearch import ApiError, AsyncElasticsearch, BadRequestError, ConflictError, NotFoundError

from domain.errors import Broken
from read_side.adapters import elasticsearch_documents as documents
from read_side.adapters.elasticsearch_bulk import Bulk
from read_side.adapters.elasticsearch_documents import CHECKPOINT
from read_side.adapters.elasticsearch_link import served
from read_side.changes import Place
from read_side.copies import CopyCheckpoint, CopyDifference, CopyIndex
from read_side.store import Fenced, R, View

_SUFFIX = re.compile(r"-\d+-[0-9a-f]{8}\Z")


class ElasticsearchIndexes:
    """The port ``read_side.copies.CopyIndexes``; ``prefix`` begins the names of all that is made.

    An index is written through an alias of its own, so that nobody who writes makes one by writing to none. Its
    checkpoint is compared and set by the sequence number of its document. A bulk request is sent ``attempts`` times,
    with pauses in seconds that grow from ``pause`` on.
    """

    def __init__(self, client: AsyncElasticsearch, prefix: str, *, attempts: int = 5, pause: float = 0.1) -> None:
        self._client, self._prefix = client, prefix
        self._attempts, self._pause = attempts, pause

    def shape(self, view: View[Any]) -> str:
        return documents.shape_of(view)

    async def live(self, view: View[Any], *, taken_over: bool = False) -> CopyIndex | None:
        alias = self._alias(view)
        if taken_over:
            held = await self._holding(alias)
            if len(held) != 1 or not all(_writing(name) in each["aliases"] for name, each in held.items()):
                return None
        try:
            with served():
                if taken_over:
                    await self._client.indices.refresh(index=alias)
                found = await self._client.get(index=alias, id=CHECKPOINT)
        except (NotFoundError, BadRequestError):  # none, or several
            return None
        except ApiError as error:
            raise Broken(f"Elasticsearch refuses to tell what {alias} is: {error}") from error
        checkpoint = documents.checkpoint_in(found["_source"])
        if checkpoint is None or not self._is_ours(view, found["_index"]):
            return None
        return CopyIndex(found["_index"], checkpoint, (found["_seq_no"], found["_primary_term"]))

    async def create(self, view: View[Any], checkpoint: CopyCheckpoint) -> CopyIndex:
        await self.sweep(view)
        alias = self._alias(view)
        if alias in await self._holding(alias):
            raise Broken(f"an index of Elasticsearch is called {alias}, which must be an alias: delete it")
        name = f"{alias}-{checkpoint.generation}-{secrets.token_hex(4)}"
        definition = documents.definition(view)
        with _asked(f"to make an index for {alias}"):
            await self._client.indices.create(index=name, **definition, aliases={_writing(name): {}})
        return await self._state(name, checkpoint, op_type="create")

    async def begin(self, index: CopyIndex) -> CopyIndex:
        return await self._restate(index, msgspec.structs.replace(index.checkpoint, writing=True))

    async def write(self, view: View[R], index: CopyIndex, rows: Sequence[tuple[Place, R | None]]) -> None:
        what, alias = f"copy of view {view.name}", _writing(index.name)
        bulk = Bulk(self._client, alias, what, attempts=self._attempts, pause=self._pause)
        async for lines in documents.requests(view, rows):
            await bulk.store(lines)

    async def commit(self, index: CopyIndex, checkpoint: CopyCheckpoint) -> CopyIndex:
        return await self._restate(index, checkpoint, refresh=True)

    async def switch(self, view: View[Any], index: CopyIndex) -> None:
        alias = self._alias(view)
        before = await self._holding(alias)
        actions: list[dict[str, Any]] = [{"add": {"index": index.name, "alias": alias}}]
        actions += [{"remove": {"index": other, "alias": alias}} for other in before.keys() - {index.name}]
        with _asked(f"to give alias {alias} to a new index"):
            await self._client.indices.update_aliases(actions=actions)

    async def sweep(self, view: View[Any]) -> None:
        alias = self._alias(view)
        with _asked(f"which indexes of {alias} there are"):
            held = await self._client.indices.get_alias(index=f"{alias}-*")
        for name, each in held.items():
            if self._is_ours(view, name) and alias not in each["aliases"]:
                with _asked(f"to drop index {name}"):
                    await self._client.indices.delete(index=name, ignore_unavailable=True)

    async def keys(self, view: View[Any], index: CopyIndex, after: str, limit: int) -> list[str]:
        rows = {"filter": [{"exists": {"field": "key"}}, {"range": {"key": {"gt": after}}}]}
        gone = {"must_not": [{"term": {"gone": True}}]}
        with _asked(f"the keys of {index.name}"):
            found = await self._client.search(
                index=index.name,
                query={"bool": {**rows, **gone}},
                sort={"key": "asc"},
                size=limit,
                source=False,
                docvalue_fields=[{"field": "key"}],
                track_total_hits=False,
            )
        return [hit["fields"]["key"][0] for hit in found["hits"]["hits"]]

    async def compare(self, view: View[R], index: CopyIndex, rows: Mapping[str, R | None]) -> list[CopyDifference]:
        if not rows:
            return []
        ids = [documents.id_of(key) or "-" for key in rows]
        with _asked(f"rows of {index.name}"):
            found = await self._client.mget(index=index.name, ids=ids)
        different = []
        for (key, row), document in zip(rows.items(), found["docs"], strict=True):
            source = document.get("_source")
            if what := documents.wrong_with(view, row, source):
                different.append(CopyDifference(key, source["position"] if source else 0, what))
        return different

    def _alias(self, view: View[Any]) -> str:
        return documents.alias_of(self._prefix, view)

    def _is_ours(self, view: View[Any], name: str) -> bool:
        alias = self._alias(view)
        return name.startswith(alias) and _SUFFIX.match(name, len(alias)) is not None

    async def _holding(self, alias: str) -> dict[str, Any]:
        """Return the aliases of the indexes that have this one, by their names."""
        try:
            with served():
                return dict(await self._client.indices.get_alias(index=alias))
        except NotFoundError:
            return {}
        except ApiError as error:
            raise Broken(f"Elasticsearch refuses to tell what {alias} is: {error}") from error

    async def _restate(self, index: CopyIndex, checkpoint: CopyCheckpoint, *, refresh: bool = False) -> CopyIndex:
        number, term = index.version
        return await self._state(index.name, checkpoint, if_seq_no=number, if_primary_term=term, refresh=refresh)

    async def _state(self, name: str, checkpoint: CopyCheckpoint, **expected: Any) -> CopyIndex:
        """Store the checkpoint; raises ``Fenced`` where the one before is not as it is expected."""
        document = documents.checkpoint_document(checkpoint)
        with _asked(f"to store the checkpoint of {name}"):
            stored = await self._client.index(
                index=_writing(name), id=CHECKPOINT, document=document, require_alias=True, **expected
            )
        return CopyIndex(name, checkpoint, (stored["_seq_no"], stored["_primary_term"]))


def _writing(name: str) -> str:
    """Return the alias through which this index is written."""
    return f"{name}.write"


@contextmanager
def _asked(what: str) -> Iterator[None]:
    """Raise ``Fenced`` where something is not there, or not as it was read, and ``Broken`` for what is refused."""
    try:
        with served():
            yield
    except (NotFoundError, ConflictError) as error:
        raise Fenced(f"Elasticsearch was asked {what}: {error}") from error
    except ApiError as error:
        raise Broken(f"Elasticsearch refuses {what}: {error}") from error
