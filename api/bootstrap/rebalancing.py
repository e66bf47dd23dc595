"""What a process needs that rebalances: where holdings and prices come from, and the optimiser with its solvers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from api.bootstrap.reading import Reading
from api.settings import Settings, seconds
from read_side.investment_model import InvestmentModels
from read_side.price_table import PriceTable
from write_side.adapters.globeco import GlobecoHoldings, GlobecoPrices, GlobecoTickers
from write_side.adapters.service import Limits, Service
from write_side.event_store import EventStore
from write_side.gate import Gate
from write_side.holdings import StoredHoldings
from write_side.market_prices import BookPrices
from write_side.optimiser.chain import ExactOptimiser
from write_side.optimiser.pool import Pool
from write_side.ports import Holdings, MarketPrices
from write_side.rebalance import Means, Runs


@asynccontextmanager
async def rebalancing(settings: Settings, parts: Reading, store: EventStore, table: PriceTable) -> AsyncIterator[Runs]:
    """Open what rebalances; solvers start when they are first needed, and end with this."""
    async with AsyncExitStack() as stack:
        gate = Gate()
        pool = Pool(workers=settings.optimiser_workers, solvers=settings.solvers.split(","))
        stack.push_async_callback(pool.close)
        holdings: Holdings = StoredHoldings(store)
        prices: MarketPrices = BookPrices(table)
        limits = Limits(timeout=seconds(settings.external_service_timeout))
        if (url := settings.portfolio_accounting_url) is not None:
            holdings = GlobecoHoldings(_service(stack, "Portfolio Accounting Service", url, limits))
        if settings.security_service_url is not None and settings.pricing_service_url is not None:
            tickers = GlobecoTickers(_service(stack, "Security Service", settings.security_service_url, limits))
            prices = GlobecoPrices(_service(stack, "Pricing Service", settings.pricing_service_url, limits), tickers)
        yield Runs(
            store=store,
            models=InvestmentModels(parts.views, parts.signals),
            means=Means(
                holdings=holdings,
                prices=prices,
                optimiser=ExactOptimiser(pool, gate=gate, max_time=settings.max_optimization_time),
                clock=lambda: datetime.now(UTC),
                gate=gate,
            ),
        )


def _service(stack: AsyncExitStack, name: str, url: str, limits: Limits) -> Service:
    service = Service.at(name, url, limits)
    stack.push_async_callback(service.close)
    return service
