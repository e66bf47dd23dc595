"""Analytics and performance of portfolios: exposures, concentration, profit and returns (seeds 003 and 004)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from domain.errors import NotFound
from domain.portfolio import PORTFOLIO_ID
from domain.returns import Closed, Measured, measure
from domain.valuation import worth
from domain.values import DIVIDE, EXACT, ONE, ZERO, money, ratio, share, summed
from read_side.rendered import Rendered, RenderedCopy
from read_side.returns import Track, Tracks
from read_side.states import States
from read_side.wire import amount, encode, moment, number

_KEPT = 10_000
_TOP = 5
_EVER = (date.min, date.max)


class Analytics:
    """The queries on how portfolios stand and how they have done.

    ``risk_free_rate`` is a year's (0.02 is 2 %), for the Sharpe ratio. Each query takes ``at_least``, the log position
    the answer must include, and ``wait``, how many seconds to wait for it; raises ``NotFound``, ``NotYet``,
    ``StoreUnavailable``.
    """

    def __init__(
        self, tracks: Tracks, states: States, copy: RenderedCopy | None = None, *, risk_free_rate: Decimal = ZERO
    ) -> None:
        self._tracks, self._states, self._copy, self._rate = tracks, states, copy, risk_free_rate
        self._known: dict[str, Rendered] = {}

    async def analytics(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> Rendered:
        """Return ``PortfolioAnalytics``; figures over a series that is too short are null."""
        row, stamp = await self._states.stamped(portfolio_id, at_least=at_least, wait=wait)
        known = self._known.get(portfolio_id)
        if known is None and self._copy is not None:
            known = await self._copy.get("analytics", portfolio_id)
        if known is None or known.stamp != stamp:
            track = await self._track(portfolio_id, None, max(at_least, row.position), wait)
            known = Rendered(analytics_json(track, self._rate), track.stamp._replace(build=stamp.build))
            if self._copy is not None:
                self._copy.put("analytics", portfolio_id, known)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[portfolio_id] = known
        return known

    def forget(self) -> None:
        """Forget what was rendered: the log may have been set back."""
        self._known.clear()

    async def performance(
        self, portfolio_id: str, first: date | None, last: date | None, *, at_least: int = 0, wait: float = 2.0
    ) -> Rendered:
        """Return returns as they are now, and the daily series from ``first`` to ``last``, both included."""
        span = (first or _EVER[0], last or _EVER[1])
        track = await self._track(portfolio_id, span, at_least, wait)
        return Rendered(performance_json(track, span, self._rate), track.stamp)

    async def _track(self, portfolio_id: str, span: tuple[date, date] | None, at_least: int, wait: float) -> Track:
        known = PORTFOLIO_ID.match(portfolio_id)
        track = await self._tracks.of(portfolio_id, span, at_least=at_least, wait=wait) if known else None
        if track is None:
            raise NotFound(f"portfolio {portfolio_id} does not exist")
        return track


def analytics_json(track: Track, risk_free_rate: Decimal) -> bytes:
    """Return ``PortfolioAnalytics``, its members in the contract's order."""
    facts = track.row.facts
    total = worth(facts.cash, facts.positions, track.book)
    measured = _measured(track, total, risk_free_rate)
    return encode(
        {
            "portfolio_id": facts.portfolio_id,
            "as_of": moment(track.as_of),
            "total_value": amount(money(total)),
            "cash_balance": amount(money(facts.cash)),
            **_exposures(track, total),
            "realized_pnl": amount(money(facts.realized)),
            "unrealized_pnl": amount(money(_unrealized(track))),
            "income": amount(money(facts.income)),
            "fees": amount(money(facts.fees)),
            "total_return": _shown(measured.since_inception),
            "daily_return": _shown(measured.daily),
            "mtd_return": _shown(measured.month_to_date),
            "ytd_return": _shown(measured.year_to_date),
            "volatility": _shown(measured.volatility),
            "sharpe_ratio": _shown(measured.sharpe_ratio),
            "max_drawdown": _shown(measured.max_drawdown),
        }
    )


def performance_json(track: Track, span: tuple[date, date], risk_free_rate: Decimal) -> bytes:
    """Return 003's performance: the returns now, and the days of the span in order, the open one as it is now."""
    facts, returns = track.row.facts, track.row.returns
    total = worth(facts.cash, facts.positions, track.book)
    measured = _measured(track, total, risk_free_rate)
    series = [_day(day) for day in track.days]
    if track.row.clock is not None and span[0] <= track.as_of.date() <= span[1]:
        growth = None if measured.daily is None else DIVIDE.add(measured.daily, ONE)
        series.append(_day(Closed(track.as_of.date(), total, returns.net_flow, growth)))
    return encode(
        {
            "portfolio_id": facts.portfolio_id,
            "as_of": moment(track.as_of),
            "daily_return": _shown(measured.daily),
            "ytd_return": _shown(measured.year_to_date),
            "mtd_return": _shown(measured.month_to_date),
            "since_inception": _shown(measured.since_inception),
            "series": series,
        }
    )


def _exposures(track: Track, total: Decimal) -> dict[str, Any]:
    """Return exposures, leverage and concentration, each rounded once from the exact market values."""
    values = _market_values(track)
    long = summed([value for value in values if value > 0])
    short = summed([value.copy_negate() for value in values if value < 0])
    gross = EXACT.add(long, short)
    sizes = sorted((value.copy_abs() for value in values), reverse=True)
    squares = summed([EXACT.multiply(size, size) for size in sizes])
    whole = total.copy_abs()
    return {
        "long_exposure": amount(money(long)),
        "short_exposure": amount(money(short)),
        "gross_exposure": amount(money(gross)),
        "net_exposure": amount(money(EXACT.subtract(long, short))),
        "leverage": number(share(gross, total)) if total else None,
        "position_count": len(values),
        "largest_weight": number(share(sizes[0] if sizes else ZERO, whole)),
        "top_five_weight": number(share(summed(sizes[:_TOP]), whole)),
        "hhi": number(share(squares, EXACT.multiply(whole, whole))),
    }


def _measured(track: Track, total: Decimal, risk_free_rate: Decimal) -> Measured:
    """Return the returns; all undefined before the first update, while there is no day to measure."""
    if track.row.clock is None:
        return Measured(None, None, None, None, None, None, None)
    return measure(track.row.returns, total, risk_free_rate)


def _day(day: Closed) -> dict[str, Any]:
    return {
        "date": day.date.isoformat(),
        "total_value": amount(money(day.total_value)),
        "net_flow": amount(money(day.net_flow)),
        "return": _shown(None if day.growth is None else DIVIDE.subtract(day.growth, ONE)),
    }


def _market_values(track: Track) -> list[Decimal]:
    """Return the exact market values of the positions; of one without any price 0."""
    return [
        EXACT.multiply(holding.quantity, track.book[name].price) if name in track.book else ZERO
        for name, holding in track.row.facts.positions.items()
    ]


def _unrealized(track: Track) -> Decimal:
    costs = [holding.cost for holding in track.row.facts.positions.values()]
    return EXACT.subtract(summed(_market_values(track)), summed(costs))


def _shown(figure: Decimal | None) -> msgspec.Raw | None:
    return None if figure is None else number(ratio(figure))
