"""Rows of the hot copy stay decoded while their bytes are the same; what they say is always what the bytes say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest
from redis.asyncio import Redis

from domain.base import Event
from projections.portfolio import PORTFOLIO_PROJECTOR
from read_side.adapters import redis as hot_copy
from read_side.adapters.redis import RedisHotCopy
from read_side.adapters.redis_link import connect, guarded
from read_side.portfolio import PORTFOLIOS, PortfolioRow
from read_side.signals import Signals
from read_side.store import Checkpoint, Page
from tests.domain.portfolios import deposit
from tests.projections.market import Market, day, random_market
from tests.projections.quoting import recorded


@pytest.fixture
async def hot(redis_url: str) -> AsyncIterator[RedisHotCopy]:
    link, signals = guarded(connect(redis_url, timeout=60.0)), Signals()
    signals.assume(UUID(int=1), 0, {})
    yield RedisHotCopy(link, signals)
    await link.close()


async def save(hot: RedisHotCopy, events: Sequence[Event], first: int, last: int) -> None:
    """Save the page that the events after position ``first`` up to ``last`` make."""
    log = recorded(events)
    rows = {key: row for key, row in PORTFOLIO_PROJECTOR.fold({}, log[:first]).items() if row is not None}
    page = PORTFOLIO_PROJECTOR.fold(rows, log[first:last])
    await hot.save_page(PORTFOLIOS, Page(page, Checkpoint(first, 1), last))


async def row(hot: RedisHotCopy, portfolio_id: str) -> PortfolioRow | None:
    found = await hot.read(PORTFOLIOS, [portfolio_id])
    assert found is not None
    return found.rows.get(portfolio_id)


async def test_equal_bytes_are_decoded_once_and_others_anew(hot: RedisHotCopy) -> None:
    events = Market().open("P", "1").open("Q", "2").update("P", day(1), deposit("5")).events
    await save(hot, events, 0, 2)
    first = await row(hot, "P")
    assert first is not None
    assert await row(hot, "P") is first
    assert (await row(hot, "Q")) == PORTFOLIO_PROJECTOR.fold({}, recorded(events))["Q"]
    await save(hot, events, 2, 3)
    second = await row(hot, "P")
    assert second is not None
    assert (first.version, second.version) == (1, 2)
    assert second.cash == 6


async def test_a_row_of_before_the_copy_began_anew_counts_as_missing_although_it_is_remembered(
    hot: RedisHotCopy, redis_url: str
) -> None:
    events = Market().open("P", "1").open("Q", "2").open("R", "3").events
    await save(hot, events, 0, 1)
    assert await row(hot, "P") is not None
    async with Redis.from_url(redis_url) as redis:
        await redis.delete("view:portfolios:checkpoint")
    await save(hot, events, 1, 3)
    assert await row(hot, "P") is None
    assert await row(hot, "Q") is not None


async def test_a_row_that_was_lost_is_missing_and_one_that_cannot_be_decoded_too(
    hot: RedisHotCopy, redis_url: str
) -> None:
    await save(hot, Market().open("P", "1").events, 0, 1)
    assert await row(hot, "P") is not None
    async with Redis.from_url(redis_url) as redis:
        held = await redis.get("portfolio:P:facts")
        assert isinstance(held, bytes)
        await redis.set("portfolio:P:facts", held[:20] + b"}")
        assert await row(hot, "P") is None
        await redis.delete("portfolio:P:facts")
        assert await row(hot, "P") is None


async def test_with_little_memory_rows_are_the_same(hot: RedisHotCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_copy, "_DECODED", 1_000)
    events = random_market(21, 40).events
    for position in range(1, len(events) + 1):
        await save(hot, events, position - 1, position)
        expected = PORTFOLIO_PROJECTOR.fold({}, recorded(events[:position]))
        for portfolio_id in ("P", "Q", "R", "P"):
            assert await row(hot, portfolio_id) == expected.get(portfolio_id)
