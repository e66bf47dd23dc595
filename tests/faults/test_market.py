"""Faults under a market of trades, prices and reads: every answer stays exact, and the views are what the log says."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx2
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from api.bootstrap.operating import operating
from api.bootstrap.registry import PROJECTORS
from api.embedded import running
from api.settings import Settings
from projections.rebuild import verify
from tests.journeys.market import PORTFOLIOS, Market
from tests.servers.application import Application, application

MANY = [f"I{number:05}" for number in range(10_000)]


def client(app: Application) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=app.url, timeout=60, limits=httpx2.Limits(max_connections=32))


def flush(app: Application) -> None:
    """Empty the hot copy and everything rendered, once Valkey is there again."""
    addresses = running(app.data_dir)
    assert addresses is not None
    assert addresses.redis_url is not None
    with Redis.from_url(addresses.redis_url, retry=Retry(ConstantBackoff(0.05), 1200)) as valkey:
        valkey.flushall()


async def all_verified(app: Application) -> None:
    """Every view is, byte for byte, what the log makes of it."""
    addresses = running(app.data_dir)
    assert addresses is not None
    async with operating(Settings(database_url=addresses.database_url)) as parts:
        for projector in PROJECTORS:
            assert (await verify(projector, parts.history, parts.builder)).differences == [], projector.view.name


async def until(market: Market, calls: int) -> None:
    """Return once so many calls have been accepted."""
    async with asyncio.timeout(240):
        while len(market.calls) < calls:
            await market.see(PORTFOLIOS[0], market.reached)


async def test_answers_stay_exact_while_valkey_is_killed_and_flushed(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        async with client(app) as http:
            market = Market(http)
            await market.open()
            async with asyncio.TaskGroup() as tasks:
                for number in range(4):
                    tasks.create_task(market.trade_on(number, 2_000))
                    tasks.create_task(market.upload_on(number, 2_000))
                for name in PORTFOLIOS[1:]:
                    tasks.create_task(market.read_on(name))
                for round_ in range(1, 4):
                    await until(market, 100 * round_)
                    await asyncio.to_thread(os.kill, app.child("valkey-server"), signal.SIGKILL)
                    await until(market, 100 * round_ + 40)
                    await asyncio.to_thread(flush, app)
                await until(market, 400)
                market.stopping = True
            await market.check()
            await all_verified(app)


async def test_the_views_agree_after_kill_9_of_the_projector_amid_ten_thousand_prices(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        async with client(app) as http:
            market = Market(http)
            await market.open()
            async with asyncio.TaskGroup() as tasks:
                for number in range(4):
                    tasks.create_task(market.trade_on(number, 2_000))
                tasks.create_task(market.upload_on(0, 2_000))
                tasks.create_task(market.upload_on(1, 2_000, *MANY[5:]))
                tasks.create_task(market.read_on(PORTFOLIOS[1]))
                for round_ in range(1, 4):
                    await until(market, 60 * round_)
                    await asyncio.to_thread(os.kill, app.child("--role projector"), signal.SIGKILL)
                await until(market, 240)
                market.stopping = True
            await market.check()
            await all_verified(app)
