"""A view with a search copy, changed at random, and what a search sees of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
from elasticsearch import AsyncElasticsearch

from projections.copying import Copier
from read_side.adapters.elasticsearch_index import ElasticsearchIndexes
from read_side.adapters.elasticsearch_link import connect
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.postgres_changes import PostgresChanges
from read_side.adapters.postgres_following import PostgresFollowers
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.copies import CopyCheckpoint, follower_of
from read_side.lag import Lag
from read_side.store import Kind, Page, Row, View
from read_side.tasks import end
from tests.projections.copy_steps import PATIENCE, Steps
from tests.projections.logs import Process, append, deposited, opened


class Note(Row, frozen=True, kw_only=True, gc=False):
    """A row of which everything but the key may be missing."""

    key: str
    word: str | None = None
    text: str | None = None
    figure: Decimal | None = None


NOTES = View(
    name="notes",
    row=Note,
    key="key",
    fields={"word": Kind.KEYWORD, "text": Kind.TEXT, "figure": Kind.NUMBER},
    copied=True,
)


@dataclass
class World:
    """A view of notes, its log and its copy."""

    one: Process
    client: AsyncElasticsearch
    prefix: str
    versions: int = 0
    chosen: random.Random = field(default_factory=lambda: random.Random(7))
    now: dict[str, Note] = field(default_factory=dict)
    """The rows as they are in the view."""
    history: dict[int, dict[str, Note]] = field(default_factory=dict)
    """The rows by the checkpoint at which the view was so."""

    @property
    def alias(self) -> str:
        return f"{self.prefix}-{NOTES.name}"

    def steps(self, **options: Any) -> Steps:
        indexes = ElasticsearchIndexes(self.client, self.prefix, attempts=3, pause=0.01, **options)
        return Steps(indexes, PostgresChanges(self.one.pool.connection))

    def copier(self, steps: Steps, *, page_size: int = 7, grace: float = 0.0) -> Copier[Note]:
        return Copier(
            view=NOTES,
            changes=steps,
            indexes=steps,
            history=self.one.history,
            leadership=PostgresLeadership(self.one.database_url, self.one.signals),
            signals=self.one.signals,
            page_size=page_size,
            rest=0.0,
            beat=0.05,
            grace=grace,
            soonest=0.01,
            slowest=0.05,
        )

    @property
    def followers(self) -> PostgresFollowers:
        return PostgresFollowers(self.one.pool.connection)

    async def log(self, count: int) -> int:
        """Append so many events; return the head."""
        first = self.versions + 1
        events: list[Any] = [deposited("A", version, "1") for version in range(max(first, 2), first + count)]
        if first == 1:
            events.insert(0, opened("A"))
        self.versions += count
        return await append(self.one.database_url, *events)

    async def page(self, rows: Mapping[str, str | None], events: int = 3) -> int:
        """Change these rows by their words, None removes one, as a page of the projection does; return its position."""
        before = await self.one.store.prepare(NOTES)
        position = await self.log(events)
        page: dict[str, Note | None] = {}
        for key, word in rows.items():
            at = self.chosen.randint(before.position + 1, position)
            figure = None if word is None or len(word) % 2 else Decimal(len(word)).scaleb(-2)
            page[key] = (
                None if word is None else Note(position=at, key=key, word=word, text=f"Größe {word}", figure=figure)
            )
        await self.one.store.save_page(NOTES, Page(page, before, position))
        self._take(page, position)
        return position

    def _take(self, page: Mapping[str, Note | None], position: int) -> None:
        for key, row in page.items():
            if row is None:
                self.now.pop(key, None)
            else:
                self.now[key] = row
        self.history[position] = dict(self.now)

    async def scribble(self, pages: int, keys: int = 40) -> int:
        """Change rows at random: new ones, changes, removals, those that come back; return the position."""
        position = 0
        for number in range(pages):
            rows = {
                f"N/{self.chosen.randrange(keys)}": None if self.chosen.random() < 0.3 else f"w{number}-{turn}"
                for turn in range(self.chosen.randint(1, 12))
            }
            position = await self.page(rows, self.chosen.randint(1, 5))
        return position

    async def rebuilt(self, word: str) -> int:
        """Rebuild the view as another program would make it: the same rows with other words; return the generation."""
        builder = PostgresBuilder(self.one.database_url)
        async with builder.build(NOTES) as build:
            rows = {key: Note(position=row.position, key=key, word=word) for key, row in self.now.items()}
            await build.save(rows)
            await build.finish()
            async with build.hold_live() as live:
                await build.switch(live.checkpoint.position)
        self.now = rows
        self.history[live.checkpoint.position] = dict(rows)
        return live.checkpoint.generation + 1

    async def shown(self) -> tuple[list[CopyCheckpoint], dict[str, Note]]:
        """Return what a search sees now, in one request: checkpoints and rows."""
        found = await self.client.search(index=self.alias, size=10_000, sort=["_doc"])
        checkpoints, rows = [], {}
        for hit in found["hits"]["hits"]:
            source = hit["_source"]
            if "checkpoint" in source:
                checkpoints.append(_checkpoint(source["checkpoint"]))
            elif not source.get("gone"):
                assert hit["_id"] == f"row/{source['key']}"
                rows[source["key"]] = _note(source)
        return checkpoints, rows

    async def same(self, position: int) -> CopyCheckpoint:
        """Assert that a search sees the view at this position or above, exactly; return its checkpoint."""
        [checkpoint], rows = await self.shown()
        assert not checkpoint.writing
        assert checkpoint.position >= position
        assert rows == self.history[checkpoint.position]
        return checkpoint

    async def until_stopped(self, because: str) -> None:
        """Return once people are told that the copy stands still, for this reason."""
        await self._until_told(lambda lag: lag.stopped and because in (lag.error or ""))

    async def until_running(self) -> None:
        """Return once people are told that the copy goes on."""
        await self._until_told(lambda lag: not lag.stopped and lag.error is None)

    async def _until_told(self, holds: Callable[[Lag], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not any(each.view == follower_of(NOTES) and holds(each) for each in await self.one.store.lags()):
                pass

    async def lose_sessions(self) -> None:
        """End the sessions that lead, as a network does; the copiers do not know it yet."""
        async with self.one.pool.connection() as connection:
            await connection.execute(
                "select pg_terminate_backend(pid, 10_000) from pg_stat_activity"
                " where application_name = 'foliolog-projector' and datname = current_database()"
            )

    async def indexes(self) -> set[str]:
        return set(await self.client.indices.get(index=f"{self.prefix}*"))


def _checkpoint(content: Any) -> CopyCheckpoint:
    return msgspec.convert(content, CopyCheckpoint)


def _note(source: Any) -> Note:
    row = NOTES.decode(msgspec.json.encode(source["row"]))
    assert (row.key, row.position) == (source["key"], source["position"])
    return row


@asynccontextmanager
async def world(one: Process, url: str, prefix: str) -> AsyncIterator[World]:
    """Open a view of notes at position 0; the copy is nowhere yet."""
    async with connect(url, 30.0) as client:
        await one.store.prepare(NOTES)
        yield World(one, client, prefix)


@asynccontextmanager
async def copying(world: World, steps: Steps | None = None, **options: Any) -> AsyncIterator[Steps]:
    """Run a copier while the block lasts."""
    steps = steps or world.steps()
    task = asyncio.create_task(world.copier(steps, **options).run())
    try:
        yield steps
    finally:
        await end(task)


async def reached(steps: Steps, position: int) -> None:
    """Return once the live index is committed at this position or above."""

    await steps.until(lambda: steps.shown is not None and steps.shown.position >= position)
