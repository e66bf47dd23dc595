"""An event that cannot be projected stops its projection, is reported, and is passed over only when parked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from domain.base import Recorded
from domain.portfolio import Portfolio
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.projector import Rows
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.lag import Lag
from read_side.portfolio import PORTFOLIOS, PortfolioRow
from tests.projections.logs import Process, append, deposited, opened, process
from tests.projections.running import running


async def stopped(one: Process) -> Lag:
    """Wait until the projection says that it has stopped."""
    async with asyncio.timeout(60):
        while True:
            [lag] = await one.store.lags()
            if lag.stopped:
                return lag


async def cash(one: Process, portfolio_id: str) -> str:
    rows = await one.store.get_many(PORTFOLIOS, [portfolio_id])
    return str(rows.rows[portfolio_id].cash)


def unreadable(portfolio_id: str, version: int) -> tuple[str, int, str, bytes]:
    return Portfolio.stream(portfolio_id), version, "portfolio.cash-deposited.v1", b'{"amount":"ten"}'


async def test_an_unreadable_event_stops_and_parking_continues(database_url: str) -> None:
    await append(database_url, opened("A", "1"), deposited("A", 2, "2"))
    poison = await append(database_url, unreadable("A", 3))
    head = await append(database_url, deposited("A", 4, "4"), opened("B", "7"))
    with capture_logs() as logs:
        async with process(database_url) as one, running(one):
            lag = await stopped(one)
            assert (lag.position, lag.events) == (poison - 1, 3)
            assert lag.seconds > 0
            assert "cannot be read" in str(lag.error)
            assert await cash(one, "A") == "2"

            await one.store.park(PORTFOLIOS, poison, reason="known damage", actor="operator")
            await one.store.wait_for(PORTFOLIOS, head, 60)
            assert await cash(one, "A") == "4"
            [lag] = await one.store.lags()
            assert (lag.stopped, lag.error, lag.events, lag.seconds) == (False, None, 0, 0.0)
            compared = await verify(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
            assert compared.differences == []
    assert [entry["position"] for entry in logs if entry["event"] == "projection stopped"] == [poison]


async def test_an_event_that_evolve_refuses_stops_after_what_came_before(database_url: str) -> None:
    await append(database_url, opened("A", "1"))
    poison = await append(database_url, deposited("NEVER-OPENED", 1, "5"))
    head = await append(database_url, deposited("A", 2, "2"))
    async with process(database_url) as one, running(one):
        lag = await stopped(one)
        assert lag.position == poison - 1
        assert f"event {poison}" in str(lag.error)
        await one.store.park(PORTFOLIOS, poison, reason="a test", actor="operator")
        await one.store.wait_for(PORTFOLIOS, head, 60)
        assert await cash(one, "A") == "2"


async def test_a_restart_tries_again(database_url: str) -> None:
    def apply(rows: Rows[PortfolioRow], recorded: Recorded) -> None:
        raise ZeroDivisionError("a defect")

    head = await append(database_url, opened("A", "1"))
    async with process(database_url) as one:
        async with running(one, projector=replace(PORTFOLIO_PROJECTOR, apply=apply)):
            lag = await stopped(one)
            assert "ZeroDivisionError" in str(lag.error)
        async with running(one):
            await one.store.wait_for(PORTFOLIOS, head, 60)
        [lag] = await one.store.lags()
        assert not lag.stopped


async def test_a_rebuild_with_a_mended_projector_frees_a_stopped_one(database_url: str) -> None:
    broken = [True]

    def apply(rows: Rows[PortfolioRow], recorded: Recorded) -> None:
        if broken[0] and recorded.position == 2:
            raise ValueError("a defect")
        PORTFOLIO_PROJECTOR.apply(rows, recorded)

    projector = replace(PORTFOLIO_PROJECTOR, apply=apply)
    head = await append(database_url, opened("A", "1"), deposited("A", 2, "2"), deposited("A", 3, "3"))
    async with process(database_url) as one, running(one, projector=projector):
        await stopped(one)
        broken[0] = False
        rebuilt = await rebuild(projector, one.history, PostgresBuilder(database_url))
        assert rebuilt.position == head
        head = await append(database_url, deposited("A", 4, "4"))
        await one.store.wait_for(PORTFOLIOS, head, 60)
        assert await cash(one, "A") == "4"


async def test_a_rebuild_at_a_poison_changes_nothing(database_url: str) -> None:
    await append(database_url, opened("A", "1"), unreadable("A", 2))
    async with process(database_url) as one, running(one):
        before = await stopped(one)
        with pytest.raises(Exception, match="cannot be read"):
            await rebuild(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
        [after] = await one.store.lags()
        assert (after.position, after.generation, after.stopped) == (before.position, before.generation, True)
