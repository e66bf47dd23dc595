"""States of earlier versions and times: what was true at that place of the log, with the prices known there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from api.app import create_app
from domain.base import Event, fold
from domain.errors import NotFound, NotYet
from domain.portfolio import Portfolio
from domain.valuation import value
from projections.prices import PRICE_PROJECTOR
from read_side.past import PastStates
from read_side.prices import Prices
from read_side.rendering import state_json
from tests.api.asking import opening, pricing, trade, updating
from tests.api.doubles import Behind
from tests.domain.portfolios import buy, deposit, sell
from tests.projections.logs import Process, append, process
from tests.projections.market import PORTFOLIOS, Market, day, random_market
from tests.projections.quoting import known_after
from tests.projections.running import running

SECOND = timedelta(seconds=1)


@asynccontextmanager
async def past_of(database_url: str, *groups: Sequence[Event]) -> AsyncIterator[tuple[Process, PastStates]]:
    """Append each group in a transaction of its own, and run what keeps the view of prices."""
    for group in groups:
        await append(database_url, *group)
    async with process(database_url) as one, running(one, projector=PRICE_PROJECTOR):
        yield one, PastStates(one.history, Prices(one.store, one.signals), one.signals)


def state_after(events: Sequence[Event], portfolio_id: str) -> bytes:
    """Return the state after these events, by the aggregate itself and by prices told one by one."""
    own = [event for event in events if event.originator_id == Portfolio.stream(portfolio_id)]
    portfolio: Portfolio | None = fold(own)
    assert portfolio is not None
    return state_json(value(portfolio, known_after(events)))


def versions(events: Sequence[Event], portfolio_id: str) -> dict[int, int]:
    """Return the position of each version of the portfolio."""
    numbered = enumerate(events, 1)
    stream = Portfolio.stream(portfolio_id)
    return {event.originator_version: position for position, event in numbered if event.originator_id == stream}


@pytest.mark.parametrize("seed", [3, 4])
async def test_every_version_is_the_state_right_after_its_event(database_url: str, seed: int) -> None:
    events = random_market(seed, 60).events
    async with past_of(database_url, events) as (_, past):
        for portfolio_id in PORTFOLIOS:
            for version, position in versions(events, portfolio_id).items():
                found = await past.at_version(portfolio_id, version, at_least=len(events), wait=60)
                assert found.body == state_after(events[:position], portfolio_id), (portfolio_id, version)
                assert found.version == version


async def test_every_time_is_the_state_after_all_that_was_recorded_by_then(database_url: str) -> None:
    events = random_market(5, 60).events
    groups = [events[first : first + 4] for first in range(0, len(events), 4)]
    async with past_of(database_url, *groups) as (one, past):
        log = await one.history.page(0, 1_000)
        for moment in sorted({recorded.recorded_at for recorded in log}):
            position = max(recorded.position for recorded in log if recorded.recorded_at <= moment)
            for portfolio_id in PORTFOLIOS:
                if versions(events[:position], portfolio_id):
                    found = await past.at_time(portfolio_id, moment, wait=60)
                    assert found.body == state_after(events[:position], portfolio_id)
                    between = await past.at_time(portfolio_id, moment + timedelta(microseconds=1), wait=60)
                    assert between.body == found.body
                else:
                    with pytest.raises(NotFound, match="nothing was recorded by"):
                        await past.at_time(portfolio_id, moment, wait=60)


async def test_prices_are_those_known_then_however_they_are_dated(database_url: str) -> None:
    market = Market().open("P", "100").update("P", day(1), buy("A", "1", "10"))
    bought = len(market.events)
    market.prices(day(9), A="90").prices(day(0), A="1").update("P", day(2), deposit("1"))
    later = len(market.events)
    market.prices(day(9), A="91").update("P", day(10), sell("A", "1", "92"))
    events = market.events
    async with past_of(database_url, events) as (_, past):
        totals = [(await past.at_version("P", version, wait=60)).body for version in range(1, 5)]
    assert totals == [state_after(events[:position], "P") for position in (1, bought, later, len(events))]
    shown = [body.split(b",")[1] for body in totals]
    assert shown == [f'"total_value":{total}'.encode() for total in ("100.00", "100.00", "181.00", "183.00")]


async def test_what_has_not_been_is_not_found(database_url: str) -> None:
    market = Market().open("P", "1").prices(day(1), A="1").open("Q", "1")
    async with past_of(database_url, market.events[:2], market.events[2:]) as (one, past):
        log = await one.history.page(0, 10)
        for version in (2, 10**17):
            with pytest.raises(NotFound, match=f"version {version}"):
                await past.at_version("P", version)
        with pytest.raises(NotFound):
            await past.at_version("P", 0)
        for moment in (datetime.min.replace(tzinfo=UTC), log[0].recorded_at - timedelta(microseconds=1)):
            with pytest.raises(NotFound, match="portfolio P nothing was recorded by"):
                await past.at_time("P", moment)
        with pytest.raises(NotFound, match="portfolio Q"):
            await past.at_time("Q", log[1].recorded_at)
        for nobody in ("R", "", "..", "\0", "\ud800", "x" * 10_000, "prices/1"):
            with pytest.raises(NotFound):
                await past.at_version(nobody, 1)
            with pytest.raises(NotFound):
                await past.at_time(nobody, datetime.max.replace(tzinfo=UTC))


async def test_it_waits_for_the_log_and_for_the_view_of_prices_and_no_longer_than_it_may(database_url: str) -> None:
    market = Market().open("P", "1").update("P", day(1), buy("A", "1", "10"))
    await append(database_url, *market.events)
    async with process(database_url) as one:
        await one.store.prepare(PRICE_PROJECTOR.view)
        past = PastStates(one.history, Prices(one.store, one.signals), one.signals)
        with pytest.raises(NotYet) as caught:
            await past.at_version("P", 1, at_least=3, wait=0.05)
        assert (caught.value.view, caught.value.position, caught.value.reached) == ("log", 3, 2)
        with pytest.raises(NotYet) as caught:
            await past.at_version("P", 2, wait=0.05)
        assert (caught.value.view, caught.value.position, caught.value.reached) == ("prices", 2, 0)
        waiting = [
            asyncio.create_task(past.at_version("P", 2, wait=60)),
            asyncio.create_task(past.at_time("P", datetime.max.replace(tzinfo=UTC), at_least=3, wait=60)),
        ]
        async with running(one, projector=PRICE_PROJECTOR):
            assert (await waiting[0]).body == state_after(market.events, "P")
            await append(database_url, *market.update("P", day(2), deposit("5")).events[2:])
            assert (await waiting[1]).body == state_after(market.events, "P")


async def test_every_version_is_what_the_command_answered_then() -> None:
    behind = Behind()
    transport = httpx2.ASGITransport(app=create_app(behind.deps()), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://foliolog/api/v1") as client:
        first = await client.post("/portfolios", json=opening(cash_balance=1000))
        answers = [(behind.now, first)]
        for number in range(1, 13):
            behind.now += 10 * SECOND
            kind = "BUY" if number % 3 else "SELL"
            move = updating(trade(kind, 2, "AAPL", 100 + number), trade("FEE", "0.005"), trade("IN", 1, "MSFT", number))
            answers.append((behind.now, await client.post("/portfolio/ACC-1/update", json=move)))
            behind.now += 10 * SECOND
            await client.post("/prices", json=pricing({"AAPL": 100 - number, "MSFT": 7}))
        for now, answer in answers:
            assert answer.status_code < 300, answer.text
            version = answer.headers["etag"].strip('"')
            for asked in ({"version": version}, {"at": now.isoformat()}, {"at": (now + 9 * SECOND).isoformat()}):
                found = await client.get("/portfolio/ACC-1/state", params=asked)
                assert (found.content, found.headers["etag"]) == (answer.content, answer.headers["etag"])
            early = await client.get("/portfolio/ACC-1/state", params={"at": (now - SECOND).isoformat()})
            assert early.content != answer.content
