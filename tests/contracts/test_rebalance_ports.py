"""The ports that a rebalance gets its inputs from, each over every adapter: our own log and book, and GlobeCo."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from domain.portfolio import Portfolio, PositionUpdate, TransactionType
from domain.prices import Price
from tests.api.memory_log import MemoryLog
from tests.servers.globeco import globeco
from write_side.adapters.globeco import GlobecoHoldings, GlobecoPrices, GlobecoTickers
from write_side.adapters.service import Limits, Service
from write_side.event_store import EventStore
from write_side.holdings import StoredHoldings
from write_side.log import Context
from write_side.market_prices import BookPrices
from write_side.ports import Held, Holdings, MarketPrices

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
TECH, BOND = "TECH123456789012345678AB", "BOND123456789012345678AB"
CONTEXT = Context(actor="test", correlation_id="test", command_id=UUID(int=1))


@dataclass
class Given:
    """What there is: cash and quantities of portfolios, and prices."""

    portfolios: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    prices: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Ports:
    holdings: Holdings
    prices: MarketPrices


@dataclass
class _Table:
    """A price table that knows everything at once."""

    book: dict[str, Price]
    position: int = 7

    async def reach(self, position: int, wait: float) -> None: ...
    async def catch_up(self, wait: float) -> None: ...


@asynccontextmanager
async def own(given: Given) -> AsyncIterator[Ports]:
    store = EventStore(MemoryLog())
    for portfolio_id, (cash, quantities) in given.portfolios.items():
        portfolio = Portfolio.open(portfolio_id, portfolio_id, Decimal(0), NOW)
        amount = Decimal(cash)
        kind = TransactionType.DEP if amount > 0 else TransactionType.WD
        updates = [PositionUpdate(transaction_type=kind, quantity_change=abs(amount))] if amount else []
        for security_id, quantity in quantities.items():
            size = Decimal(quantity)
            kind = TransactionType.IN if size > 0 else TransactionType.SHORT
            updates.append(
                PositionUpdate(
                    transaction_type=kind,
                    quantity_change=abs(size),
                    instrument_id=security_id,
                    price=Decimal("0.00000001"),
                )
            )
        portfolio.update(updates, NOW, now=NOW)
        await store.record(portfolio, context=CONTEXT)
    table = _Table({name: Price(Decimal(price), NOW) for name, price in given.prices.items()})
    yield Ports(StoredHoldings(store), BookPrices(table))


@asynccontextmanager
async def of_globeco(given: Given) -> AsyncIterator[Ports]:
    async with globeco() as services:
        for portfolio_id, (cash, quantities) in given.portfolios.items():
            services.holds(portfolio_id, cash, **quantities)
        for number, (security_id, price) in enumerate(given.prices.items()):
            services.lists(security_id, f"T{number}", price)
        service = Service.at("GlobeCo", services.url, Limits(timeout=60, delay=0.001))
        yield Ports(GlobecoHoldings(service), GlobecoPrices(service, GlobecoTickers(service)))
        await service.close()


ADAPTERS = {"own": own, "GlobeCo": of_globeco}
Open = Callable[[Given], AbstractAsyncContextManager[Ports]]


@pytest.fixture(params=ADAPTERS)
def ports(request: pytest.FixtureRequest) -> Open:
    opened: Open = ADAPTERS[request.param]
    return opened


async def test_holdings_are_those_that_exist_exactly(ports: Open) -> None:
    given = Given(
        {
            "P-1": ("1000.0000000000000001", {TECH: "12.34567891", BOND: "3"}),
            "P-2": ("-7.5", {}),
            "P-3": ("0", {TECH: "1"}),
        }
    )
    async with ports(given) as one:
        found = await one.holdings.of(["P-3", "P-1", "nobody", "P-2"])
        assert found == {
            "P-1": Held(
                "P-1", "P-1", Decimal("1000.0000000000000001"), {TECH: Decimal("12.34567891"), BOND: Decimal(3)}
            ),
            "P-2": Held("P-2", "P-2", Decimal("-7.5"), {}),
            "P-3": Held("P-3", "P-3", Decimal(0), {TECH: Decimal(1)}),
        }


async def test_short_positions_are_negative(ports: Open) -> None:
    async with ports(Given({"P-1": ("100", {TECH: "-2"})})) as one:
        held = (await one.holdings.of(["P-1"]))["P-1"]
        assert isinstance(held, Held)
        assert held.quantities == {TECH: Decimal(-2)}


async def test_many_portfolios_and_none(ports: Open) -> None:
    given = Given({f"P-{number}": (str(number), {}) for number in range(60)})
    async with ports(given) as one:
        assert await one.holdings.of([]) == {}
        found = await one.holdings.of([f"P-{number}" for number in range(60)])
        assert found == {f"P-{n}": Held(f"P-{n}", f"P-{n}", Decimal(n), {}) for n in range(60)}


async def test_prices_are_those_that_are_known_exactly(ports: Open) -> None:
    async with ports(Given(prices={TECH: "149.99", BOND: "0.00000001"})) as one:
        priced = await one.prices.of([BOND, "OTHER3456789012345678901", TECH])
        assert priced.prices == {TECH: Decimal("149.99"), BOND: Decimal("0.00000001")}
        assert (await one.prices.of([])).prices == {}
        assert one.prices.source
