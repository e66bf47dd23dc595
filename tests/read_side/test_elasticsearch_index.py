"""Indexes of search copies in Elasticsearch: their definitions, who may write, what is sent again and what is told."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from elasticsearch import AsyncElasticsearch

from api.bootstrap.registry import PROJECTORS
from domain.errors import Broken, StoreUnavailable
from read_side.adapters import elasticsearch_documents as documents
from read_side.adapters.elasticsearch_index import ElasticsearchIndexes
from read_side.adapters.elasticsearch_link import connect
from read_side.changes import Place
from read_side.copies import CopyCheckpoint, CopyIndex
from read_side.store import Fenced, View
from tests.projections.copied import NOTES, Note
from tests.servers.elasticsearch import Elasticsearch

COPIED = [projector.view for projector in PROJECTORS if projector.view.copied]
EPOCH = UUID(int=7)


@pytest.fixture
async def client(elasticsearch: Elasticsearch) -> AsyncIterator[AsyncElasticsearch]:
    async with connect(elasticsearch.url, 30.0) as made:
        yield made


@pytest.fixture
def indexes(client: AsyncElasticsearch, index_prefix: str) -> ElasticsearchIndexes:
    return ElasticsearchIndexes(client, index_prefix)


def at(position: int, *, writing: bool = False, **members: Any) -> CopyCheckpoint:
    shape = documents.shape_of(NOTES)
    given = {"epoch": EPOCH, "generation": 1, "build": 1, "shape": shape, **members}
    return CopyCheckpoint(position=position, writing=writing, **given)


def changed(*rows: Note) -> list[tuple[Place, Note | None]]:
    return [(Place(row.position, row.key), row) for row in rows]


async def live(indexes: ElasticsearchIndexes, *rows: Note, position: int = 0) -> CopyIndex:
    """Make an index with these rows that is searched."""
    index = await indexes.create(NOTES, at(0, writing=True))
    await indexes.write(NOTES, index, changed(*rows))
    index = await indexes.commit(index, at(position))
    await indexes.switch(NOTES, index)
    return index


@pytest.mark.parametrize("view", COPIED, ids=lambda view: view.name)
def test_the_file_of_each_view_that_is_copied_is_what_the_view_says(view: View[Any]) -> None:
    path = documents.DEFINITIONS / f"{view.name}.json"
    assert path.read_text(encoding="utf-8") == json.dumps(documents.computed(view), indent=2) + "\n"
    assert documents.definition(view) == documents.computed(view)


def test_there_is_no_file_of_a_view_that_is_not_copied() -> None:
    names = {path.name for path in documents.DEFINITIONS.iterdir()}
    assert names == {f"{view.name}.json" for view in COPIED}


@pytest.mark.parametrize("view", COPIED, ids=lambda view: view.name)
async def test_elasticsearch_makes_the_index_of_each_view(indexes: ElasticsearchIndexes, view: View[Any]) -> None:
    made = await indexes.create(view, at(0, writing=True))
    await indexes.switch(view, made)
    assert await indexes.live(view, taken_over=True) == made


def test_another_definition_is_another_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    before, other = documents.shape_of(NOTES), documents.computed(NOTES)
    other["mappings"]["properties"]["search"]["properties"]["word"] = {"type": "keyword", "index": False}
    monkeypatch.setattr(documents, "computed", lambda _: other)
    assert documents.shape_of(NOTES) != before


async def test_a_row_is_stored_as_the_view_writes_it_with_what_it_is_searched_by(
    indexes: ElasticsearchIndexes, client: AsyncElasticsearch, index_prefix: str
) -> None:
    row = Note(position=3, key="A/é", word="W", text="GRÖSSE", figure=Decimal("12345678901234567890.10"))
    bare = Note(position=4, key="B")
    index = await live(indexes, row, bare, position=5)
    found = await client.get(index=f"{index_prefix}-notes", id="row/A/é")
    assert found["_source"] == {
        "key": "A/é",
        "position": 3,
        "row": msgspec.json.decode(NOTES.encode(row)),
        "search": documents.searched_by(NOTES, row),
    }
    assert found["_source"]["row"]["figure"] == "12345678901234567890.10"
    assert found["_source"]["search"]["text"] == "grösse"
    assert (await client.get(index=index.name, id="row/B"))["_source"]["search"] == {}
    assert await indexes.compare(NOTES, index, {"A/é": row, "B": bare, "C": None}) == []


async def test_nothing_is_shown_before_it_is_committed(
    indexes: ElasticsearchIndexes, client: AsyncElasticsearch
) -> None:
    index = await live(indexes, Note(position=1, key="A"), position=1)
    index = await indexes.begin(index)
    await indexes.write(NOTES, index, changed(Note(position=2, key="B")))
    assert await indexes.keys(NOTES, index, "", 10) == ["A"]
    index = await indexes.commit(index, at(2))
    assert await indexes.keys(NOTES, index, "", 10) == ["A", "B"]
    assert await indexes.keys(NOTES, index, "A", 10) == ["B"]


async def test_a_row_never_takes_the_place_of_a_newer_one(indexes: ElasticsearchIndexes) -> None:
    index = await live(indexes, Note(position=5, key="A", word="new"))
    await indexes.write(NOTES, index, changed(Note(position=4, key="A", word="old")))
    assert await indexes.compare(NOTES, index, {"A": Note(position=5, key="A", word="new")}) == []
    await indexes.write(NOTES, index, [(Place(6, "A"), None)])
    await indexes.write(NOTES, index, changed(Note(position=5, key="A", word="new")))
    assert await indexes.compare(NOTES, index, {"A": None}) == []


async def test_a_checkpoint_is_only_changed_by_who_has_read_it(indexes: ElasticsearchIndexes) -> None:
    index = await live(indexes, position=1)
    other = await indexes.live(NOTES)
    assert other == index
    begun = await indexes.begin(index)
    for late in (indexes.begin(index), indexes.commit(index, at(9))):
        with pytest.raises(Fenced):
            await late
    assert await indexes.live(NOTES) == begun
    assert begun.checkpoint == at(1, writing=True)
    done = await indexes.commit(begun, at(2, command_id=uuid4()))
    assert await indexes.live(NOTES) == done


async def test_who_writes_to_an_index_that_is_gone_makes_none(
    indexes: ElasticsearchIndexes, client: AsyncElasticsearch, index_prefix: str
) -> None:
    index = await live(indexes, position=1)
    await client.indices.delete(index=index.name)
    with pytest.raises(Fenced):
        await indexes.write(NOTES, index, changed(Note(position=2, key="A")))
    for late in (indexes.begin(index), indexes.commit(index, at(9)), indexes.switch(NOTES, index)):
        with pytest.raises(Fenced):
            await late
    assert await indexes.live(NOTES) is None
    assert await indexes.live(NOTES, taken_over=True) is None
    assert dict(await client.indices.get(index=f"{index_prefix}*")) == {}


async def test_an_index_without_its_alias_for_writing_is_not_taken_over(
    indexes: ElasticsearchIndexes, client: AsyncElasticsearch
) -> None:
    index = await live(indexes, position=1)
    await client.indices.delete_alias(index=index.name, name=f"{index.name}.write")
    with pytest.raises(Fenced):
        await indexes.write(NOTES, index, changed(Note(position=2, key="A")))
    assert await indexes.live(NOTES, taken_over=True) is None


async def test_what_is_not_searched_is_swept_and_what_is_not_ours_is_left(
    indexes: ElasticsearchIndexes, client: AsyncElasticsearch, index_prefix: str
) -> None:
    index = await live(indexes, position=1)
    left = await indexes.create(NOTES, at(0, writing=True))
    foreign = {f"{index_prefix}-notes-old", f"{index_prefix}-notes_too-1-0123abcd"}
    for name in foreign:
        await client.indices.create(index=name)
    await indexes.sweep(NOTES)
    assert set(await client.indices.get(index=f"{index_prefix}*")) == {index.name, *foreign}
    with pytest.raises(Fenced):
        await indexes.commit(left, at(1))


async def test_requests_are_of_bounded_size_and_a_document_that_is_larger_goes_alone() -> None:
    small = [Note(position=number, key=f"K{number}") for number in range(1, 2_501)]
    assert [len(lines) for lines in [piece async for piece in documents.requests(NOTES, changed(*small))]] == [
        1000,
        1000,
        500,
    ]
    large = [Note(position=number, key=f"K{number}", word="x" * 2**20) for number in range(1, 8)]
    huge = Note(position=9, key="H", word="x" * (6 * 2**20))
    pieces = [piece async for piece in documents.requests(NOTES, changed(*large, huge, *small[:10]))]
    sizes = [sum(map(len, piece.values())) for piece in pieces]
    assert [len(piece) for piece in pieces] == [2, 2, 2, 1, 1, 10]
    assert all(size <= 5 * 2**20 or "H" in piece for size, piece in zip(sizes, pieces, strict=True))


async def test_a_row_that_is_refused_is_named(indexes: ElasticsearchIndexes) -> None:
    index = await live(indexes)
    long = Note(position=1, key="L", word="x" * 40_000)
    with pytest.raises(Broken, match=r"copy of view notes: Elasticsearch refuses row 'L': .*immense term"):
        await indexes.write(NOTES, index, changed(Note(position=1, key="A"), long))
    endless = Note(position=1, key="N", figure=Decimal(math.inf))
    with pytest.raises(Broken, match="field figure of a row of view notes cannot be searched by"):
        await indexes.write(NOTES, index, changed(endless))


async def test_a_server_that_is_away_is_unavailable() -> None:
    async with connect("http://127.0.0.1:9", 1.0) as client:
        indexes = ElasticsearchIndexes(client, "away", attempts=2, pause=0.001)
        index = CopyIndex("away-notes-1-00000000", at(1), (0, 1))
        with pytest.raises(StoreUnavailable):
            await indexes.live(NOTES)
        with pytest.raises(StoreUnavailable, match="1 rows were refused 2 times"):
            await indexes.write(NOTES, index, changed(Note(position=1, key="A")))


@dataclass
class Busy:
    """A server that takes or refuses each document as it is told, and remembers which it was sent."""

    answer: Callable[[int, str], tuple[int, str]]
    """What it answers to the n-th request for this key: a status and the type of the error."""
    sent: list[list[str]] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    """Statuses of its next answers to whole requests."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                lines = (await reader.readexactly(length)).splitlines()
                status, content = self._answered([json.loads(line)["index"]["_id"] for line in lines[::2]])
                body = json.dumps(content).encode()
                writer.write(
                    b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\n"
                    b"content-length: %d\r\n\r\n%s" % (status, len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answered(self, ids: list[str]) -> tuple[int, dict[str, Any]]:
        self.sent.append([each.removeprefix("row/") for each in ids])
        if self.whole and (status := self.whole.pop(0)) != 200:
            return status, {"error": {"type": "busy", "reason": "come later"}, "status": status}
        items = []
        for each in ids:
            status, kind = self.answer(len(self.sent), each.removeprefix("row/"))
            error = {} if status < 300 else {"error": {"type": kind, "reason": "as the test says"}}
            items.append({"index": {"status": status, **error}})
        return 200, {"errors": any("error" in item["index"] for item in items), "items": items}


@asynccontextmanager
async def busy(answer: Callable[[int, str], tuple[int, str]], *whole: int) -> AsyncIterator[tuple[Any, Busy]]:
    """Run such a server; give what writes three rows to it, and the server."""
    server = Busy(answer, whole=list(whole))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening, connect(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", 60.0) as client:
        indexes = ElasticsearchIndexes(client, "busy", attempts=4, pause=0.001)
        index = CopyIndex("busy-notes-1-00000000", at(1), (0, 1))
        rows = changed(*(Note(position=1, key=key) for key in "ABC"))
        yield lambda: indexes.write(NOTES, index, rows), server


async def test_what_a_busy_server_refuses_is_sent_again_and_nothing_else() -> None:
    def answer(request: int, key: str) -> tuple[int, str]:
        if key == "B" and request < 3:
            return 429, "es_rejected_execution_exception"
        if key == "C" and request < 2:
            return 503, "unavailable_shards_exception"
        return (409, "version_conflict_engine_exception") if key == "A" else (201, "")

    async with busy(answer) as (write, server):
        await write()
    assert server.sent == [["A", "B", "C"], ["B", "C"], ["B"]]


async def test_a_request_that_is_refused_whole_is_sent_again_whole() -> None:
    async with busy(lambda *_: (201, ""), 429, 503, 200) as (write, server):
        await write()
    assert server.sent == [["A", "B", "C"]] * 3


async def test_a_server_that_stays_busy_is_unavailable() -> None:
    async with busy(lambda _, key: (429 if key == "B" else 201, "es_rejected_execution_exception")) as (write, server):
        with pytest.raises(StoreUnavailable, match="1 rows were refused 4 times: es_rejected_execution_exception"):
            await write()
    assert server.sent == [["A", "B", "C"], ["B"], ["B"], ["B"]]


@pytest.mark.parametrize("whole", [(), (400,)])
async def test_what_is_refused_for_good_is_not_sent_again(whole: tuple[int, ...]) -> None:
    async with busy(lambda *_: (400, "document_parsing_exception"), *whole) as (write, server):
        with pytest.raises(Broken, match="copy of view notes"):
            await write()
    assert len(server.sent) == 1
