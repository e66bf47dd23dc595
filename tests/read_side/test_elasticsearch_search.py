"""The copies in Elasticsearch: rows come back as they were, and each reason for which a copy must not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from elasticsearch import AsyncElasticsearch

from domain.base import Event
from domain.errors import StoreUnavailable
from projections.asset_allocation import REBALANCE_TRANSACTION_PROJECTOR
from projections.execution import EXECUTION_PROJECTOR
from projections.investment_model import INVESTMENT_MODEL_PROJECTOR
from projections.projector import Projector
from projections.rebalance import REBALANCE_PROJECTOR
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.adapters.elasticsearch_documents import alias_of
from read_side.adapters.elasticsearch_index import ElasticsearchIndexes
from read_side.adapters.elasticsearch_link import connect, served
from read_side.adapters.elasticsearch_queries import WINDOW
from read_side.adapters.elasticsearch_search import ElasticsearchSearch, guarded
from read_side.changes import Place
from read_side.copies import CopyCheckpoint, CopyIndex
from read_side.optional import Breaker
from read_side.signals import Signals
from read_side.store import Checkpoint, Found, Kind, Listed, Row, Search, View
from tests.domain.models import model, rebalanced
from tests.projections.executing import random_desk
from tests.projections.quoting import recorded
from tests.projections.rebalancing import random_rebalances
from tests.projections.test_asset_allocation import life
from tests.projections.trading import every_type, random_trades
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.proxy import Proxy

EPOCH, OTHER = UUID(int=1), UUID(int=2)


class Note(Row, frozen=True, kw_only=True, gc=False):
    """A row that holds what JSON may lose on its way: nothing at all, texts that look like numbers, numbers."""

    key: str
    word: str = ""
    figure: Decimal = Decimal(0)
    at: datetime | None = None
    empty: tuple[str, ...] = ()
    nothing: dict[str, Decimal] = msgspec.field(default_factory=dict)
    figures: dict[str, Decimal] = msgspec.field(default_factory=dict)


NOTES = View(name="notes", row=Note, key="key", fields={"word": Kind.KEYWORD, "figure": Kind.NUMBER}, copied=True)
ASKED = Search(sort="word")


class World:
    """One view with a copy that is written by hand, at position 10, and what is heard of the durable one."""

    def __init__(self, client: AsyncElasticsearch, prefix: str, view: View[Any] = NOTES) -> None:
        self.client, self.prefix, self.view, self.now = client, prefix, view, 0.0
        self.indexes = ElasticsearchIndexes(client, prefix)
        self.signals, self.told = Signals(), list[str]()
        self.signals.assume(EPOCH, 10, {view.name: Checkpoint(10, 1)})
        self.stated = CopyCheckpoint(epoch=EPOCH, generation=1, position=10, build=1, shape=self.indexes.shape(view))

    def copy(self, client: AsyncElasticsearch | None = None) -> ElasticsearchSearch:
        """Return what reads the copy; what becomes of each question is told."""
        return ElasticsearchSearch(
            guarded(client or self.client, self.prefix, breaker=Breaker(60, 60)),
            self.prefix,
            self.signals,
            observe=lambda _, source: self.told.append(source),
            clock=lambda: self.now,
        )

    async def make(self, rows: Mapping[str, Any]) -> CopyIndex:
        index = await self.indexes.create(self.view, self.stated)
        await self.indexes.write(self.view, index, [(Place(10, key), row) for key, row in rows.items()])
        index = await self.indexes.commit(index, self.stated)
        await self.indexes.switch(self.view, index)
        return index

    async def answers(self) -> str:
        """Ask a search and a list; return what became of both."""
        copy = self.copy()
        found, counted = await copy.search(self.view, ASKED), await copy.listed(self.view, Listed())
        assert (found is None) is (counted is None) is (self.told[-1] != "copy")
        assert self.told[-2] == self.told[-1]
        return self.told[-1]


@asynccontextmanager
async def copied(url: str, prefix: str, view: View[Any] = NOTES) -> AsyncIterator[World]:
    async with connect(url, 30.0) as client:
        yield World(client, prefix, view)


@pytest.fixture
async def world(elasticsearch: Elasticsearch, index_prefix: str) -> AsyncIterator[World]:
    async with copied(elasticsearch.url, index_prefix) as made:
        yield made


def models() -> list[Event]:
    one, other = model(name="Größe \U0001f600"), model("0" * 24)
    return [*one.collect_events(), *other.collect_events(), rebalanced(other.model_id)]


def executions() -> list[Event]:
    desk = random_desk(4, 200)
    desk.fail(10**6, "no answer")
    return desk.events


LOGS: list[tuple[Projector[Any], list[Event]]] = [
    (TRANSACTION_PROJECTOR, [*every_type(), *random_trades(3, 200, 5)]),
    (EXECUTION_PROJECTOR, executions()),
    (INVESTMENT_MODEL_PROJECTOR, models()),
    (REBALANCE_PROJECTOR, random_rebalances(5, 30)),
    (REBALANCE_TRANSACTION_PROJECTOR, life()),
]


@pytest.mark.parametrize(("projector", "events"), LOGS, ids=[projector.view.name for projector, _ in LOGS])
async def test_rows_of_every_copied_view_come_back_as_they_were(
    elasticsearch: Elasticsearch, index_prefix: str, projector: Projector[Any], events: list[Event]
) -> None:
    rows = {key: row for key, row in projector.fold({}, recorded(events)).items() if row is not None}
    assert {type(row) for row in rows.values()} == set(projector.view.kinds)
    async with copied(elasticsearch.url, index_prefix, projector.view) as world:
        await world.make(rows)
        counted = await world.copy().listed(projector.view, Listed(sort=(projector.view.key,)))
    assert counted is not None
    assert counted.rows == [rows[key] for key in sorted(rows)]
    assert [projector.view.encode(row) for row in counted.rows] == [
        projector.view.encode(rows[key]) for key in sorted(rows)
    ]


async def test_nothing_is_lost_of_a_row_that_has_little(world: World) -> None:
    rows = {
        "a": Note(position=2**63 - 1, key="a"),
        "b": Note(position=1, key="b", word="1.0", figure=Decimal("1E-30"), figures={"": Decimal("-0.00")}),
        "c": Note(position=1, key="c", word='"\\*\n\u2028', at=datetime(1, 1, 1, tzinfo=UTC)),
    }
    await world.make(rows)
    counted = await world.copy().listed(NOTES, Listed())
    assert counted is not None
    assert [msgspec.json.encode(row) for row in counted.rows] == [msgspec.json.encode(row) for row in rows.values()]


async def test_a_copy_that_is_level_answers_until_it_is_another_or_behind(world: World) -> None:
    assert await world.answers() == "missing"
    index = await world.make({"a": Note(position=1, key="a")})
    assert await world.answers() == "copy"
    for stated, why in [
        (msgspec.structs.replace(world.stated, epoch=OTHER), "other log"),
        (msgspec.structs.replace(world.stated, generation=2), "other build"),
        (msgspec.structs.replace(world.stated, shape="v1-other"), "other build"),
        (msgspec.structs.replace(world.stated, writing=True), "writing"),
        (world.stated, "copy"),
    ]:
        index = await world.indexes.commit(index, stated)
        assert await world.answers() == why
    world.signals.hear_checkpoint(NOTES.name, Checkpoint(10, 2))
    assert await world.answers() == "other build"
    world.signals.epoch = None
    assert await world.answers() == "other log"


async def test_an_index_without_one_checkpoint_does_not_answer(world: World) -> None:
    index = await world.make({"a": Note(position=1, key="a")})
    await world.client.delete(index=index.name, id="checkpoint", refresh=True)
    assert await world.answers() == "no checkpoint"
    await world.client.index(index=index.name, id="checkpoint", document={"checkpoint": {"epoch": 1}}, refresh=True)
    assert await world.answers() == "no checkpoint"
    two = await world.make({})
    assert await world.answers() == "copy"
    three = await world.indexes.create(NOTES, world.stated)
    await world.indexes.commit(three, world.stated)
    await world.client.indices.put_alias(index=three.name, name=alias_of(world.prefix, NOTES))
    assert await world.answers() == "no checkpoint", two


async def test_a_copy_that_was_behind_is_not_asked_at_once_again(world: World) -> None:
    index = await world.make({})
    copy = world.copy()
    assert await copy.search(NOTES, Search(sort="word", at_least=11)) is None
    await world.indexes.commit(index, msgspec.structs.replace(world.stated, position=12))
    world.now = 0.09
    assert await copy.listed(NOTES, Listed(at_least=11)) is None
    assert await copy.search(NOTES, Search(sort="word", at_least=10)) == Found([], None, Checkpoint(12, 1))
    world.now = 0.1
    assert await copy.listed(NOTES, Listed(at_least=11)) is not None
    assert world.told == ["behind", "behind", "copy", "copy"]


async def test_a_view_that_is_not_copied_is_nobodys_question(world: World) -> None:
    alone = View(name="notes", row=Note, key="key", fields=NOTES.fields)
    await world.make({})
    assert await world.copy().search(alone, ASKED) is None
    assert await world.copy().listed(alone, Listed()) is None
    assert world.told == []


async def test_rows_beyond_the_first_ten_thousand_are_left_to_the_durable_view(world: World) -> None:
    rows = {f"{number:05d}": Note(position=1, key=f"{number:05d}") for number in range(WINDOW + 1)}
    await world.make(rows)
    copy = world.copy()

    async def part(offset: int, limit: int | None) -> tuple[list[str], int] | None:
        counted = await copy.listed(NOTES, Listed(offset=offset, limit=limit))
        return None if counted is None else ([row.key for row in counted.rows], counted.total)

    total = len(rows)
    assert await part(WINDOW - 2, 2) == (["09998", "09999"], total)
    assert await part(WINDOW, 0) == ([], total)
    assert await part(total, None) == ([], total)
    assert world.told == ["copy"] * 3
    for offset, limit in ((WINDOW - 2, 3), (WINDOW, 1), (0, None), (9, None)):
        assert await part(offset, limit) is None, (offset, limit)
    assert await copy.search(NOTES, Search(sort="word", limit=WINDOW)) is None
    assert set(world.told[3:]) == {"unfit"}


@pytest.mark.parametrize(
    "asked",
    [
        Search(sort="word", equals={"word": "\0"}),
        Search(sort="word", between={"word": ("a\ud800", None)}),
        Search(sort="word", key_below="\0"),
        Search(sort="word", equals={"figure": Decimal("NaN")}),
        Listed(any_of={"word": [str(number) for number in range(65_537)]}),
        Listed(equals={"figure": Decimal("1e500000")}),
    ],
)
async def test_what_elasticsearch_cannot_compare_with_is_left_to_the_durable_view(
    world: World, asked: Search | Listed
) -> None:
    await world.make({})
    copy = world.copy()
    assert await (copy.search(NOTES, asked) if isinstance(asked, Search) else copy.listed(NOTES, asked)) is None
    assert world.told == ["unfit"]


async def test_who_is_silent_is_left_alone(world: World, elasticsearch_proxy: Proxy) -> None:
    await world.make({})
    async with connect(f"http://127.0.0.1:{elasticsearch_proxy.port}", 30.0) as client:
        link = guarded(client, world.prefix)
        await link.greet()
        assert link.reachable
    async with connect(f"http://127.0.0.1:{elasticsearch_proxy.port}", 0.3) as client:
        copy = world.copy(client)
        elasticsearch_proxy.black_hole()
        assert await copy.search(NOTES, ASKED) is None
        elasticsearch_proxy.release()
        assert await copy.search(NOTES, ASKED) is None
    assert world.told == ["away", "away"]


async def test_a_question_that_is_refused_is_left_to_the_durable_view(world: World) -> None:
    index = await world.make({})
    await world.client.indices.put_settings(index=index.name, settings={"index": {"max_result_window": 1}})
    assert await world.answers() == "refused"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://somebody:p%40ss@127.0.0.1:9", "http://[::1]:9/below"])
async def test_where_nobody_is_the_store_is_unavailable(url: str) -> None:
    async with connect(url, 5.0) as client:
        with pytest.raises(StoreUnavailable, match="cannot be reached"), served():
            await client.cluster.health()


async def test_user_and_password_of_the_url_are_sent() -> None:
    async with connect("https://some%20one:p%40ss@localhost/below", 1.0) as client:
        [node] = client.transport.node_pool.all()
    assert node.config.headers["authorization"] == "Basic c29tZSBvbmU6cEBzcw=="
    assert (node.config.port, node.config.path_prefix) == (443, "/below")
