"""What a process needs that answers HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge

from api.app import Commands, Deps, Queries
from api.bootstrap.executing import executions, recording
from api.bootstrap.reading import database_url_of, prepared, reading
from api.bootstrap.rebalancing import rebalancing
from api.bootstrap.searching import searching
from api.bootstrap.sending import batches
from api.bootstrap.watching import readiness, watching
from api.bootstrap.working import consumed, parked_work, retries
from api.gauges import flushes, searches
from api.settings import Settings
from read_side.adapters.redis_rendered import RedisRendered
from read_side.analytics import Analytics
from read_side.asset_allocation import Allocations
from read_side.batch import Batches
from read_side.investment_model import InvestmentModels
from read_side.order import Orders
from read_side.past import PastStates
from read_side.portfolio import Portfolios
from read_side.price_table import PriceTable
from read_side.prices import Prices
from read_side.rebalance import Rebalances
from read_side.rebalance_verification import Verification
from read_side.returns import Tracks
from read_side.securities import Securities
from read_side.states import States
from read_side.transactions import Transactions
from write_side.adapters.appender import Appender
from write_side.adapters.postgres_log import connect
from write_side.event_store import EventStore
from write_side.order import OrderDesk


@asynccontextmanager
async def http(settings: Settings, *, commands: bool, queries: bool) -> AsyncIterator[Deps]:
    """Open what a process needs that answers HTTP; at the end everything accepted is committed."""
    keys, registry = settings.read_keys(), CollectorRegistry()
    async with AsyncExitStack() as stack:
        database_url = database_url_of(settings)
        appender = Appender(
            connect=lambda: connect(database_url), capacity=settings.command_queue, observe=flushes(registry)
        )
        parts = await stack.enter_async_context(reading(settings, appender=appender))
        store = None
        if commands:
            await appender.start()
            store = EventStore(parts.log, cache_size=settings.aggregate_cache, snapshot_every=settings.snapshot_every)
            stack.push_async_callback(store.close)
            stack.push_async_callback(appender.close)
            depth = Gauge("foliolog_append_queue_depth", "Commands that wait for the event log", registry=registry)
            depth.set_function(lambda: appender.depth)
        await prepared(parts.views)
        prices = Prices(parts.views, parts.signals)
        table = PriceTable(parts.log, prices, parts.signals)
        appender.committed = table.heard
        await table.start()
        stack.push_async_callback(table.close)
        parked = parked_work(parts, elsewhere=consumed(settings))
        views, found = await stack.enter_async_context(searching(settings, parts, searches(registry)))
        checks = await stack.enter_async_context(watching(settings, parts, parked, registry))
        portfolios = Portfolios(parts.views, parts.signals, parts.hot)
        copy = None
        if parts.link is not None:
            copy = RedisRendered(parts.link, settings=str(settings.risk_free_rate))
            stack.push_async_callback(copy.close)
        states = States(portfolios, table, parts.signals, copy)
        rate = settings.risk_free_rate
        models = InvestmentModels(views, parts.signals)
        rebalances = Rebalances(views, parts.signals)
        orders = Orders(parts.views, parts.signals, rebalances)
        asked = Queries(
            portfolios=portfolios,
            states=states,
            past=PastStates(parts.log, prices, parts.signals),
            analytics=Analytics(Tracks(parts.views, parts.signals), states, copy, risk_free_rate=rate),
            prices=prices,
            securities=Securities(parts.views, parts.signals),
            transactions=Transactions(views, parts.signals, portfolios),
            work=parked,
            allocations=Allocations(views, parts.signals, portfolios, parts.log.head),
            investment_models=models,
            rebalances=rebalances,
            verification=Verification(parts.log, parts.signals),
            executions=executions(parts, views),
            batches=Batches(parts.views, parts.signals),
            orders=orders,
        )
        told = None
        if store is not None:
            runs = await stack.enter_async_context(rebalancing(settings, parts, store, table))
            out = batches(settings, store, parts.log)
            stack.push_async_callback(out.sending.close)
            told = Commands(
                store=store,
                prices=table,
                rebalanced=models,
                runs=runs,
                retries=retries(settings, parts, store, runs),
                recording=await stack.enter_async_context(recording(settings, parts, store, registry)),
                batches=out,
                desk=OrderDesk(
                    store=store,
                    holdings=runs.means.holdings,
                    known=orders,
                    head=parts.log.head,
                    clock=lambda: datetime.now(UTC),
                    booked=settings.book_executions and settings.portfolio_accounting_url is None,
                ),
            )

        def begin_anew() -> None:
            """Forget what is remembered of the log: what is behind a new connection may be a restored one."""
            table.forget()
            states.forget()
            asked.analytics.forget()
            if store is not None:
                store.forget()

        appender.reconnected = parts.listener.reconnected = begin_anew
        yield Deps(
            clock=lambda: datetime.now(UTC),
            health=readiness(parts, table, checks, found, views=queries),
            commands=told,
            queries=asked if queries else None,
            registry=registry,
            log_all=settings.log_requests,
            keys=keys,
        )
