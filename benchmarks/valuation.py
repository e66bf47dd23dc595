"""One valuation and one rendered state of fifty positions, against the plain way with dataclasses and pydantic."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel

from benchmarks.harness import Place, Result
from domain.portfolio import Holding, Status
from domain.prices import Price
from domain.valuation import value, worth
from read_side.portfolio import PortfolioRow
from read_side.rendering import state_json
from read_side.valuing import Valuer

POSITIONS = 50
ROUNDS = 40
NOW = datetime(2025, 6, 21, 10, tzinfo=UTC)
_CENT = Decimal("0.01")
_MILLIONTH = Decimal("0.000001")


async def run(place: Place) -> list[Result]:
    """Return the microseconds of a state made anew, of one with a single new price, and of the total value alone."""
    row, book = _portfolio()
    plain = _Plain(row, book)
    valuer, ticks = Valuer(), itertools.count(1)
    moved = dict(book)

    def anew() -> bytes:
        return state_json(value(row, book))

    def one_price() -> bytes:
        tick = next(ticks)
        name = f"US{tick % POSITIONS:010d}"
        moved[name] = Price(Decimal(2000 + tick % 97) * _CENT, NOW + timedelta(microseconds=tick))
        return state_json(*valuer.value(row, moved))

    assert worth(row.cash, row.positions, book) == plain.worth() == value(row, book).exact
    assert len(_State.model_validate_json(anew()).positions) == len(plain.state().positions)
    note = "baseline: dataclasses, Decimal, pydantic's model_dump_json"
    first, again, alone, baseline_state, baseline_worth = _microseconds(
        anew, one_price, lambda: worth(row.cash, row.positions, book), plain.json, plain.worth
    )
    return [
        _result(f"value + state JSON, {POSITIONS} positions, anew", first, baseline_state, note),
        _result(f"value + state JSON, {POSITIONS} positions, one new price", again, baseline_state, note),
        _result(f"total value alone, {POSITIONS} positions", alone, baseline_worth, "baseline: dataclasses, Decimal"),
    ]


def _result(name: str, microseconds: float, baseline: float, note: str) -> Result:
    ratio = microseconds / baseline
    return Result(name=name, value=microseconds, unit="us", baseline=baseline, ratio=ratio, note=note)


def _microseconds(*operations: Callable[[], object], times: int = 50) -> list[float]:
    """Return the processor time of one call of each: of the fastest round, the operations in turn in each round."""
    fastest = [float("inf")] * len(operations)
    for _ in range(ROUNDS):
        for index, operation in enumerate(operations):
            began = time.process_time()
            for _ in range(times):
                operation()
            fastest[index] = min(fastest[index], (time.process_time() - began) / times)
    return [seconds * 1e6 for seconds in fastest]


def _portfolio() -> tuple[PortfolioRow, dict[str, Price]]:
    """Return a portfolio of long and short positions with odd figures, and the prices of what it holds."""
    positions, book = {}, {}
    for number in range(POSITIONS):
        name = f"US{number:010d}"
        quantity = Decimal(1000 + number * 7) / 8 * (-1 if number % 10 == 9 else 1)
        positions[name] = Holding(quantity, quantity * Decimal("41.3725"), NOW + timedelta(seconds=number))
        book[name] = Price(Decimal(2000 + number * 31) * _CENT, NOW + timedelta(minutes=number))
    row = PortfolioRow(
        portfolio_id="P1",
        portfolio_name="Portfolio 1",
        status=Status.ACTIVE,
        cash=Decimal("1000000.25"),
        cash_updated=NOW,
        positions=positions,
        last_updated=NOW,
        version=51,
        opened=1,
        position=51,
    )
    return row, book


# --- the plain way ---------------------------------------------------------------------------------------------------


@dataclass
class _Held:
    instrument_id: str
    quantity: Decimal
    cost: Decimal
    price: Decimal
    last_updated: datetime

    @property
    def market_value(self) -> Decimal:
        return self.quantity * self.price


class _Position(BaseModel):
    instrument_id: str
    position_type: str
    quantity: Decimal
    market_value: Decimal
    weight: Decimal
    unrealized_pnl: Decimal
    cost_basis: Decimal
    last_updated: datetime


class _State(BaseModel):
    portfolio_id: str
    total_value: Decimal
    cash_balance: Decimal
    positions: list[_Position]
    weights: dict[str, Decimal]
    last_updated: datetime
    status: str
    portfolio_name: str
    overdrawn: bool


class _Plain:
    """The same portfolio as it would be written without a thought for time."""

    def __init__(self, row: PortfolioRow, book: dict[str, Price]) -> None:
        self._row = row
        self._held = [
            _Held(name, each.quantity, each.cost, book[name].price, max(each.last_updated, book[name].as_of))
            for name, each in row.positions.items()
        ]

    def worth(self) -> Decimal:
        return self._row.cash + sum(each.market_value for each in self._held)

    def state(self) -> _State:
        cash, total = self._row.cash, self.worth()
        positions = [
            _Position(
                instrument_id=each.instrument_id,
                position_type="LONG" if each.quantity > 0 else "SHORT",
                quantity=each.quantity,
                market_value=each.market_value.quantize(_CENT),
                weight=(each.market_value / total).quantize(_MILLIONTH),
                unrealized_pnl=(each.market_value - each.cost).quantize(_CENT),
                cost_basis=each.cost.quantize(_CENT),
                last_updated=each.last_updated,
            )
            for each in sorted(self._held, key=lambda each: each.instrument_id)
        ]
        positions.append(
            _Position(
                instrument_id="CASH",
                position_type="CASH",
                quantity=cash,
                market_value=cash.quantize(_CENT),
                weight=(cash / total).quantize(_MILLIONTH),
                unrealized_pnl=Decimal("0.00"),
                cost_basis=cash.quantize(_CENT),
                last_updated=self._row.cash_updated,
            )
        )
        return _State(
            portfolio_id=self._row.portfolio_id,
            total_value=total.quantize(_CENT),
            cash_balance=cash.quantize(_CENT),
            positions=positions,
            weights={each.instrument_id: each.weight for each in positions},
            last_updated=max(each.last_updated for each in positions),
            status=self._row.status,
            portfolio_name=self._row.portfolio_name,
            overdrawn=cash < 0,
        )

    def json(self) -> str:
        return self.state().model_dump_json()
