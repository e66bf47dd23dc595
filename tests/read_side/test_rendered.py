"""Rendered bytes in a real Valkey: keys and lifetimes of seed 004, nothing older over something younger."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from uuid import UUID

import pytest
from redis.asyncio import Redis

from api.embedded import EmbeddedServers
from domain.base import Event
from domain.valuation import value
from domain.values import ZERO
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.prices import PRICE_PROJECTOR
from projections.returns import RETURNS_PROJECTOR
from read_side.adapters import redis_rendered
from read_side.adapters.redis_link import connect, guarded
from read_side.adapters.redis_rendered import RedisRendered
from read_side.analytics import Analytics, analytics_json
from read_side.optional import Breaker
from read_side.portfolio import PORTFOLIOS, Portfolios
from read_side.price_table import PriceTable
from read_side.prices import Prices
from read_side.rendered import DAY, LIFETIMES, Rendered, Stamp
from read_side.rendering import positions_json, state_json, weights_json
from read_side.returns import RETURNS, Tracks
from read_side.signals import Signals
from read_side.states import States
from read_side.store import Checkpoint
from tests.api.folded import FoldedViews
from tests.api.memory_log import MemoryLog
from tests.domain.portfolios import buy, fee
from tests.projections.market import Market, day
from tests.projections.quoting import known_after
from tests.read_side.test_states import row_of
from tests.read_side.waited import Waited
from tests.write_side.stores import by

NOON = 1_750_000_000 // DAY * DAY + DAY / 2
SECONDS = {"state": 300, "positions": 60, "weights": 300, "analytics": 900}


@asynccontextmanager
async def copy_in(
    redis_url: str, *, timeout: float = 60.0, breaker: Breaker | None = None, clock: float = NOON, settings: str = ""
) -> AsyncIterator[RedisRendered]:
    link = guarded(connect(redis_url, timeout=timeout), breaker=breaker or Breaker(0.01, 0.05))
    copy = RedisRendered(link, settings=settings, clock=lambda: clock)
    try:
        yield copy
    finally:
        await copy.close()
        await link.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write without resting."""
    monkeypatch.setattr(redis_rendered, "_REST", 0.0)


_marks = itertools.count()


async def written(copy: RedisRendered) -> None:
    """Wait until what was put before is written: this is, and it goes in order."""
    mark = Rendered(b"mark", Stamp(next(_marks), 0))
    copy.put("state", "MARK", mark)
    async with asyncio.timeout(60):
        while await copy.get("state", "MARK") != mark:
            pass


class World:
    """A log in memory, views that are always at its head, and one process that answers with this copy."""

    def __init__(self, copy: RedisRendered) -> None:
        self.log, self.signals, self.market = MemoryLog(), Signals(), Market()
        signals = self.signals
        views = FoldedViews(self.log.events, (PORTFOLIO_PROJECTOR, PRICE_PROJECTOR, RETURNS_PROJECTOR))
        table = PriceTable(self.log, Prices(views, signals), signals)
        self.log.committed.append(table.heard)
        self.states = States(Portfolios(views, signals), table, signals, copy)
        self.analytics = Analytics(Tracks(views, signals), self.states, copy)

    async def append(self, *events: Event) -> int:
        return (await self.log.append(events, by())).position

    async def rendered(self, at_least: int) -> dict[str, bytes]:
        """Return what the four queries answer."""
        asked = {
            "state": self.states.state,
            "positions": self.states.positions,
            "weights": self.states.weights,
            "analytics": self.analytics.analytics,
        }
        return {what: (await query("P", at_least=at_least)).body for what, query in asked.items()}

    def expected(self) -> dict[str, bytes]:
        events = self.log.events
        valued = value(row_of(events, "P"), known_after(events))
        market = Market()
        market.events = events
        return {
            "state": state_json(valued),
            "positions": positions_json(valued),
            "weights": weights_json(valued),
            "analytics": analytics_json(market.track("P"), ZERO),
        }


def held() -> list[Event]:
    return Market().open("P", "100").update("P", day(1), buy("A", "2", "10")).prices(day(2), A="11").events


async def test_the_keys_of_the_seed_hold_nothing_but_json_with_its_lifetime_and_a_stamp_beside(redis_url: str) -> None:
    async with copy_in(redis_url) as copy, Redis.from_url(redis_url) as redis:
        world = World(copy)
        bodies = await world.rendered(await world.append(*held()))
        await written(copy)
        assert {key for key in await redis.keys("*") if b"MARK" not in key} == {
            f"portfolio:P:{what}{end}".encode() for what in bodies for end in ("", ":stamp")
        }
        for what, seconds in SECONDS.items():
            key = f"portfolio:P:{what}"
            assert await redis.get(key) == bodies[what] == world.expected()[what]
            for each in (key, f"{key}:stamp"):
                assert seconds - 50 < await redis.ttl(each) <= seconds
            stamp = await redis.get(f"{key}:stamp")
            assert isinstance(stamp, bytes)
            assert stamp.endswith(b" 0000000000000000002 0000000000000000003")
            assert await copy.get(what, "P") == Rendered(bodies[what], Stamp(2, 3))


@pytest.mark.parametrize(("left", "seconds"), [(2_000, 900), (900, 900), (100, 100), (2, 2), (1, 1)])
async def test_analytics_do_not_outlive_the_utc_day_and_the_others_do(redis_url: str, left: int, seconds: int) -> None:
    late = NOON + DAY / 2 - left
    assert {what: life.at(late) for what, life in LIFETIMES.items()} == SECONDS | {"analytics": seconds}
    async with copy_in(redis_url, clock=late) as copy, Redis.from_url(redis_url) as redis:
        for what in ("state", "analytics"):
            copy.put(what, "P", Rendered(b"{}", Stamp(1, 0)))
        await written(copy)
        assert 250 < await redis.ttl("portfolio:P:state") <= 300
        assert seconds - 50 < await redis.ttl("portfolio:P:analytics") <= seconds


@pytest.mark.parametrize("seed", range(5))
async def test_an_older_stamp_never_replaces_a_younger_one_whoever_writes_it_when(redis_url: str, seed: int) -> None:
    stamps = [Stamp(version, price) for version in (2, 3, 10, 11) for price in (0, 9, 10, 100)]
    random = Random(seed)
    random.shuffle(stamps)
    async with copy_in(redis_url) as one, copy_in(redis_url) as other:
        youngest = Stamp(0, 0)
        for stamp in stamps:
            copy = random.choice((one, other))
            copy.put("state", "P", Rendered(str(stamp).encode(), stamp))
            await written(copy)
            youngest = max(youngest, stamp)
            for each in (one, other):
                assert await each.get("state", "P") == Rendered(str(youngest).encode(), youngest)


@pytest.mark.parametrize(("build", "settings"), [("log-2/1.1.1", ""), ("log-1/2.1.1", ""), ("log-1/1.1.1", "0.02")])
async def test_bytes_of_another_log_build_or_setting_are_replaced_whatever_their_age(
    redis_url: str, build: str, settings: str
) -> None:
    async with copy_in(redis_url) as one, copy_in(redis_url, settings=settings) as other:
        first, second = Rendered(b"one", Stamp(9, 9, "log-1/1.1.1")), Rendered(b"other", Stamp(1, 1, build))
        one.put("state", "P", first)
        await written(one)
        assert await other.get("state", "P") == (None if settings else first)
        other.put("state", "P", second)
        await written(other)
        assert await other.get("state", "P") == second
        assert await one.get("state", "P") == (None if settings else second)


async def test_what_another_log_or_build_has_rendered_is_not_answered(redis_url: str) -> None:
    async with copy_in(redis_url) as copy:
        world = World(copy)
        head = await world.append(*Market().open("P").events)
        first = await world.states.state("P", at_least=head)
        world.signals.assume(UUID(int=7), head, {PORTFOLIOS.name: Checkpoint(head, 1)})
        second = await world.states.state("P", at_least=head)
        world.signals.correct(RETURNS.name, Checkpoint(head, 2))
        third = await world.states.state("P", at_least=head)
        assert len({first.stamp, second.stamp, third.stamp}) == 3
        assert {(each.stamp.version, each.stamp.price) for each in (first, second, third)} == {(1, 0)}


@pytest.mark.parametrize("lost", ["", ":stamp"])
async def test_a_key_that_was_lost_alone_is_missing_and_written_again(redis_url: str, lost: str) -> None:
    rendered = Rendered(b"{}", Stamp(5, 5))
    async with copy_in(redis_url) as copy, Redis.from_url(redis_url) as redis:
        copy.put("weights", "P", rendered)
        await written(copy)
        await redis.delete(f"portfolio:P:weights{lost}")
        assert await copy.get("weights", "P") is None
        copy.put("weights", "P", rendered)
        await written(copy)
        assert await copy.get("weights", "P") == rendered
        assert 250 < await redis.ttl("portfolio:P:weights") <= 300


async def test_bytes_of_somebody_else_under_our_keys_are_not_used(redis_url: str) -> None:
    async with copy_in(redis_url) as copy, Redis.from_url(redis_url) as redis:
        for stamp in (b"", b"\xff\xfe", b"1 2 3", b"oops", b" ".join([b"x"] * 5)):
            await redis.set("portfolio:P:state", b"{}")
            await redis.set("portfolio:P:state:stamp", stamp)
            assert await copy.get("state", "P") is None


async def changing(world: World, rounds: int) -> None:
    """Let facts and prices change, and ask for everything after each change."""
    for _ in range(rounds):
        market, known = world.market, len(world.market.events)
        number = known + 1
        if number % 2:
            market.prices(day(2 + number), A=str(number))
        else:
            market.update("P", day(2 + number), fee("0.01"))
        head = await world.append(*market.events[known:])
        assert await world.rendered(head) == world.expected()


def begun(copy: RedisRendered) -> World:
    world = World(copy)
    world.market.open("P", "100").update("P", day(1), buy("A", "2", "10"))
    return world


async def test_a_copy_flushed_or_robbed_answers_nothing_wrong(redis_url: str) -> None:
    async with copy_in(redis_url) as copy, Redis.from_url(redis_url) as redis:
        world = begun(copy)
        await world.append(*world.market.events)
        for number in range(6):
            await changing(world, 4)
            await (redis.flushall() if number % 2 else redis.delete("portfolio:P:state:stamp", "portfolio:P:weights"))
        await written(copy)


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_copy_killed_or_hanging_answers_the_same_and_is_waited_for_once_at_most(
    own_valkey: EmbeddedServers, fate: int
) -> None:
    redis_url = own_valkey.addresses.redis_url
    assert redis_url is not None
    async with Redis.from_url(redis_url) as redis:
        pid = (await redis.info("server"))["process_id"]
    breaker = Waited(0.01, 0.05)
    async with copy_in(redis_url, timeout=0.2, breaker=breaker) as copy:
        world = begun(copy)
        await world.append(*world.market.events)
        await changing(world, 3)
        before = breaker.times
        os.kill(pid, fate)
        try:
            await changing(world, 30)
            assert breaker.times - before <= 1
        finally:
            if fate == signal.SIGSTOP:
                os.kill(pid, signal.SIGCONT)
