"""The invented market of the demo: forty securities, the days on which they trade, and their prices day by day."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import NamedTuple, TypeVar

T = TypeVar("T")

SEED = "foliolog demo 3"
LAST_DAY = date(2026, 10, 30)
DAYS = 90
HOLIDAYS = frozenset({date(2026, 9, 7)})
"""Labor Day."""
CENT = Decimal("0.01")


class Chance:
    """Random numbers of a name, the same for ever and everywhere: only bits are taken from the generator."""

    def __init__(self, *names: str) -> None:
        self._random = random.Random("/".join((SEED, *names)))

    def between(self, low: str | Decimal, high: str | Decimal) -> Decimal:
        """Return a number from ``low`` up to ``high``."""
        low, high = Decimal(low), Decimal(high)
        return low + (high - low) * self._random.getrandbits(32) / 2**32

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return low + self._random.getrandbits(32) % (high - low + 1)

    def normal(self) -> Decimal:
        """Return a number that is about normally distributed: twelve even ones less their mean."""
        return sum((self.between("0", "1") for _ in range(12)), Decimal(-6))

    def happens(self, percent: int) -> bool:
        """Return True so often in a hundred times."""
        return self.whole(1, 100) <= percent

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in another order."""
        left = list(items)
        return [left.pop(self.whole(0, len(left) - 1)) for _ in range(len(left))]


class Security(NamedTuple):
    """A security: its price before the first day, how it follows the market, its own daily deviation in percent,
    and its quarterly dividend a share (``monthly`` for funds of bonds)."""

    ticker: str
    name: str
    sector: str
    price: str
    beta: str
    own: str
    dividend: str = "0"
    monthly: bool = False

    @property
    def id(self) -> str:
        """Its 24 characters."""
        return sha256(f"{SEED}/{self.ticker}".encode()).hexdigest()[:24]


SECURITIES = (
    Security("AAPL", "Apple Inc.", "technology", "228.35", "1.10", "1.0", "0.26"),
    Security("ADBE", "Adobe Inc.", "technology", "362.10", "1.20", "1.3"),
    Security("AGG", "iShares Core U.S. Aggregate Bond ETF", "bonds", "99.42", "0.04", "0.1", "0.31", True),
    Security("AMT", "American Tower Corporation", "real estate", "209.75", "0.60", "1.0", "1.70"),
    Security("AMZN", "Amazon.com, Inc.", "consumer", "226.90", "1.25", "1.2"),
    Security("ASML", "ASML Holding N.V.", "technology", "742.60", "1.40", "1.4", "1.85"),
    Security("AVGO", "Broadcom Inc.", "technology", "297.15", "1.50", "1.6", "0.59"),
    Security("BA", "The Boeing Company", "industry", "226.40", "1.15", "1.4"),
    Security("CAT", "Caterpillar Inc.", "industry", "431.80", "1.05", "1.0", "1.51"),
    Security("COST", "Costco Wholesale Corporation", "staples", "948.25", "0.75", "0.8", "1.30"),
    Security("CVX", "Chevron Corporation", "energy", "154.30", "0.70", "0.8", "1.71"),
    Security("DIS", "The Walt Disney Company", "consumer", "116.85", "1.00", "1.1"),
    Security("EEM", "iShares MSCI Emerging Markets ETF", "abroad", "49.70", "0.85", "0.6"),
    Security("EFA", "iShares MSCI EAFE ETF", "abroad", "90.55", "0.80", "0.4"),
    Security("GE", "GE Aerospace", "industry", "271.20", "1.10", "1.1", "0.36"),
    Security("GLD", "SPDR Gold Shares", "gold", "311.45", "-0.05", "0.8"),
    Security("GOOGL", "Alphabet Inc. Class A", "technology", "197.60", "1.10", "1.2", "0.21"),
    Security("HD", "The Home Depot, Inc.", "consumer", "386.15", "0.95", "0.9", "2.30"),
    Security("JNJ", "Johnson & Johnson", "health", "171.90", "0.40", "0.7", "1.30"),
    Security("JPM", "JPMorgan Chase & Co.", "finance", "293.50", "1.05", "0.8", "1.50"),
    Security("KO", "The Coca-Cola Company", "staples", "69.45", "0.40", "0.6", "0.51"),
    Security("LLY", "Eli Lilly and Company", "health", "748.30", "0.65", "1.4", "1.50"),
    Security("MA", "Mastercard Incorporated Class A", "finance", "561.40", "0.95", "0.8", "0.76"),
    Security("MCD", "McDonald's Corporation", "consumer", "304.80", "0.50", "0.7", "1.86"),
    Security("META", "Meta Platforms, Inc. Class A", "technology", "761.25", "1.25", "1.3", "0.53"),
    Security("MRK", "Merck & Co., Inc.", "health", "82.65", "0.45", "0.9", "0.81"),
    Security("MSFT", "Microsoft Corporation", "technology", "506.70", "1.00", "0.9", "0.91"),
    Security("NEE", "NextEra Energy, Inc.", "utilities", "71.35", "0.55", "0.9", "0.57"),
    Security("NVDA", "NVIDIA Corporation", "technology", "178.45", "1.65", "1.5", "0.01"),
    Security("PFE", "Pfizer Inc.", "health", "24.75", "0.50", "0.9", "0.43"),
    Security("PG", "The Procter & Gamble Company", "staples", "155.20", "0.40", "0.6", "1.06"),
    Security("QQQ", "Invesco QQQ Trust", "technology", "566.30", "1.20", "0.2", "0.69"),
    Security("SPY", "SPDR S&P 500 ETF Trust", "market", "634.80", "1.00", "0.1", "1.83"),
    Security("T", "AT&T Inc.", "utilities", "28.10", "0.45", "0.7", "0.28"),
    Security("TLT", "iShares 20+ Year Treasury Bond ETF", "bonds", "87.90", "-0.10", "0.4", "0.33", True),
    Security("TSM", "Taiwan Semiconductor Manufacturing Company ADR", "technology", "241.50", "1.40", "1.3", "0.80"),
    Security("UNH", "UnitedHealth Group Incorporated", "health", "308.40", "0.60", "1.3", "2.21"),
    Security("V", "Visa Inc. Class A", "finance", "344.60", "0.90", "0.7", "0.59"),
    Security("WMT", "Walmart Inc.", "staples", "99.85", "0.55", "0.7", "0.24"),
    Security("XOM", "Exxon Mobil Corporation", "energy", "108.90", "0.70", "0.8", "0.99"),
)

# Drift and deviation of the whole market in percent a day, and until which day of trading they hold: a calm summer,
# a fright in September, the way back.
_WEATHER = ((24, "0.16", "0.55"), (29, "-1.05", "0.90"), (42, "0.28", "0.80"), (99, "0.18", "0.65"))
_SECTOR_DEVIATION = Decimal("0.40")
_FUNDS = frozenset({"AGG", "EEM", "EFA", "GLD", "QQQ", "SPY", "TLT"})
"""They report no earnings, and no sector moves them."""


def trading_days() -> list[date]:
    """Return the days on which the market is open, the first one first."""
    days = (LAST_DAY - timedelta(back) for back in range(DAYS - 1, -1, -1))
    return [day for day in days if day.weekday() < 5 and day not in HOLIDAYS]


class Market:
    """The prices at the end of each day of trading, what is paid during one, and who pays a dividend when."""

    def __init__(self) -> None:
        self.days = trading_days()
        self._closes = [{security.ticker: Decimal(security.price) for security in SECURITIES}]
        self.dividends: dict[int, list[tuple[str, Decimal]]] = {}
        self._walk()
        self._pay()

    def close(self, day: int, ticker: str) -> Decimal:
        """Return the price at the end of a day; of day -1: before the first."""
        return self._closes[day + 1][ticker]

    def during(self, day: int, ticker: str, chance: Chance) -> Decimal:
        """Return a price at which it changes hands during the day."""
        before, after = self.close(day - 1, ticker), self.close(day, ticker)
        price = before + (after - before) * chance.between("0.15", "0.85")
        return (price * (1 + chance.between("-0.0012", "0.0012"))).quantize(CENT)

    def _walk(self) -> None:
        market = Chance("prices", "market")
        sectors = {name: Chance("prices", name) for name in sorted({security.sector for security in SECURITIES})}
        own = {security.ticker: Chance("prices", security.ticker) for security in SECURITIES}
        reports = {ticker: chance.whole(48, 62) for ticker, chance in own.items()}
        for day in range(len(self.days)):
            drift, deviation = next((drift, deviation) for until, drift, deviation in _WEATHER if day < until)
            whole = Decimal(drift) + Decimal(deviation) * market.normal()
            shared = {name: _SECTOR_DEVIATION * chance.normal() for name, chance in sectors.items()}
            closes = {}
            for security in SECURITIES:
                chance, ticker = own[security.ticker], security.ticker
                change = whole * Decimal(security.beta) + Decimal(security.own) * chance.normal()
                if ticker not in _FUNDS:
                    change += shared[security.sector] + (chance.between("-5", "7") if reports[ticker] == day else 0)
                closes[ticker] = (self._closes[-1][ticker] * (1 + change / 100)).quantize(CENT)
            self._closes.append(closes)

    def _pay(self) -> None:
        """Set who pays on which day: quarterly once in the time shown, monthly on the fifth day of trading."""
        months = [
            index for index, day in enumerate(self.days) if index >= 4 and self.days[index - 4].month == day.month
        ]
        fifths = [index for index in months if index < 5 or self.days[index - 5].month != self.days[index].month]
        for security in SECURITIES:
            if security.dividend == "0":
                continue
            once = [Chance("dividends", security.ticker).whole(8, 60)]
            for day in fifths if security.monthly else once:
                self.dividends.setdefault(day, []).append((security.ticker, Decimal(security.dividend)))
