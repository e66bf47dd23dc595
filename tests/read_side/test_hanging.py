"""A database that hangs is told once its time is over, whatever it was asked, and not once for every connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
import pytest

from domain.errors import StoreUnavailable
from postgres import sessions
from read_side.adapters import postgres_builder, postgres_leader
from read_side.adapters.postgres import PREPARE_CLASS, PostgresViewStore
from read_side.adapters.postgres_builder import PostgresBuild, PostgresBuilder
from read_side.adapters.postgres_following import PostgresFollowing
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.following import Stand
from read_side.portfolio import PORTFOLIOS
from read_side.signals import Signals
from read_side.store import Checkpoint, Page


class Hanging:
    """A connection whose statements never end."""

    closed = False

    async def execute(self, *_arguments: Any, **_options: Any) -> None:
        await asyncio.Event().wait()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        await self.execute("begin")
        yield

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.closed = True


@asynccontextmanager
async def connections() -> AsyncIterator[Any]:
    yield Hanging()


async def hanging(_database_url: str) -> Any:
    return Hanging()


@pytest.fixture
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LIMIT", 0.01)


hurried = pytest.mark.usefixtures("_little_patience")


@hurried
async def test_a_statement_that_hangs_is_not_tried_again() -> None:
    taken = 0

    @asynccontextmanager
    async def counted() -> AsyncIterator[Any]:
        nonlocal taken
        taken += 1
        yield Hanging()

    with pytest.raises(StoreUnavailable, match=r"cannot be reached: no answer within 0\.01 s"):
        await PostgresViewStore(counted, Signals()).lags()
    assert taken == 1


STORE: dict[str, Callable[[PostgresViewStore], Awaitable[object]]] = {
    "prepare": lambda store: store.prepare(PORTFOLIOS),
    "checkpoint": lambda store: store.checkpoint(PORTFOLIOS),
    "get_many": lambda store: store.get_many(PORTFOLIOS, ["A"]),
    "save_page": lambda store: store.save_page(PORTFOLIOS, Page({}, Checkpoint(0, 1), 1)),
    "resume": lambda store: store.resume(PORTFOLIOS),
    "stop": lambda store: store.stop(PORTFOLIOS, "an error"),
    "parked": lambda store: store.parked(PORTFOLIOS),
    "park": lambda store: store.park(PORTFOLIOS, 1, reason="a reason", actor="somebody"),
}


@hurried
@pytest.mark.parametrize("ask", STORE.values(), ids=STORE)
async def test_whatever_a_projector_asks_has_its_limit(ask: Callable[[PostgresViewStore], Awaitable[object]]) -> None:
    with pytest.raises(StoreUnavailable):
        await ask(PostgresViewStore(connections, Signals()))


@hurried
async def test_whatever_a_follower_asks_has_its_limit() -> None:
    following = PostgresFollowing("relay", connections)
    stand = Stand(0, None, 1, ())
    for asked in (following.stand(), following.save(stand, stand), following.runs(), following.stopped("an error")):
        with pytest.raises(StoreUnavailable):
            await asked


@hurried
async def test_who_stands_for_leading_does_not_wait_for_a_session_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_leader, "connect", hanging)
    with pytest.raises(StoreUnavailable, match="stood for leading portfolios"):
        async with PostgresLeadership("", Signals()).lead("portfolios"):
            pass


@hurried
async def test_a_rebuild_does_not_begin_in_a_session_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_builder, "connect", hanging)
    with pytest.raises(StoreUnavailable, match="cannot be rebuilt now"):
        async with PostgresBuilder("").build(PORTFOLIOS):
            pass


BUILD: dict[str, Callable[[PostgresBuild[Any]], Awaitable[object]]] = {
    "begin": lambda build: build.begin(),
    "live": lambda build: build.live(),
    "parked": lambda build: build.parked(),
    "switch": lambda build: build.switch(1),
}


@hurried
@pytest.mark.parametrize("ask", BUILD.values(), ids=BUILD)
async def test_what_is_short_in_a_rebuild_has_its_limit(ask: Callable[[PostgresBuild[Any]], Awaitable[object]]) -> None:
    connection: Any = Hanging()
    with pytest.raises(TimeoutError, match="no answer"):
        await ask(PostgresBuild(connection, PORTFOLIOS))


async def test_a_view_that_another_session_makes_is_waited_for_as_long_as_it_takes(database_url: str) -> None:
    asked, enough = 0, asyncio.Event()
    session = await psycopg.AsyncConnection.connect(database_url, autocommit=True)

    @asynccontextmanager
    async def counted() -> AsyncIterator[Any]:
        nonlocal asked
        asked += 1
        if asked == 5:
            enough.set()
        yield session

    lock = (PREPARE_CLASS, PORTFOLIOS.name)
    async with session, await psycopg.AsyncConnection.connect(database_url, autocommit=True) as maker:
        await maker.execute("select pg_advisory_lock(%s, hashtext(%s))", lock)
        waiting = asyncio.create_task(PostgresViewStore(counted, Signals()).prepare(PORTFOLIOS))
        await enough.wait()
        assert not waiting.done()
        await maker.execute("select pg_advisory_unlock(%s, hashtext(%s))", lock)
        assert (await waiting).position == 0
