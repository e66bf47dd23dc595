"""What a process needs that records executions: where their portfolios are found out, and what is known of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Counter

from api.bootstrap.reading import Reading
from api.settings import Settings, seconds
from read_side.batch import Batches
from read_side.execution import Executions
from read_side.store import SearchableViewStore
from write_side.adapters.service import Limits, Service
from write_side.adapters.trade_service import NoTradeService, TradeServiceOwners
from write_side.event_store import EventStore
from write_side.execution import Recording
from write_side.execution.booking import Bookings
from write_side.execution.ports import Owners


def executions(parts: Reading, views: SearchableViewStore | None = None) -> Executions:
    """Return the queries on executions; in ``views``, else in the durable ones, as commands ask."""
    return Executions(views or parts.views, parts.signals, Batches(parts.views, parts.signals))


def bookings(settings: Settings, parts: Reading) -> Bookings | None:
    """Return what books executions; None where ``BOOK_EXECUTIONS`` is off."""
    return Bookings(known=executions(parts), head=parts.log.head) if settings.book_executions else None


@asynccontextmanager
async def recording(
    settings: Settings, parts: Reading, store: EventStore, registry: CollectorRegistry
) -> AsyncIterator[Recording]:
    """Open what records executions."""
    owners: Owners = NoTradeService()
    trades = None
    if settings.trade_service_url is not None:
        limit = seconds(settings.request_timeout)
        limits = Limits(
            timeout=limit,
            call=seconds(settings.trade_timeout),
            retried=frozenset(),
            retries=settings.trade_retries,
            delay=settings.trade_retry_delay_ms / 1000,
            failures=settings.trade_breaker_failures,
            reset=seconds(settings.trade_breaker_reset),
        )
        trades = Service.at("Trade Service", settings.trade_service_url, limits)
        owners = TradeServiceOwners(trades, _counting(registry))
    try:
        yield Recording(
            store=store,
            log=parts.log,
            owners=owners,
            known=executions(parts),
            time_limit=seconds(settings.request_timeout),
        )
    finally:
        if trades is not None:
            await trades.close()


def _counting(registry: CollectorRegistry) -> Callable[[bool], None]:
    asked = Counter("foliolog_trade_service_lookups", "Look-ups at the Trade Service", ["outcome"], registry=registry)

    def observe(found: bool) -> None:
        asked.labels("found" if found else "failed").inc()

    return observe
