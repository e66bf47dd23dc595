"""What the managers of the demo do, in the order in which it happens: first, before the market opens, fees, dividends
and the cash and shares that come and go, then trades."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from samples.demo.managers import Mandate
from samples.demo.market import CENT, SECURITIES, Chance, Market

BEFORE_TRADING = time(13, 0)
TRADING, TRADING_ENDS = time(14, 30), time(19, 0)
_SMALL = Decimal("0.003")
_KEPT = Decimal("0.012")
_INVESTED = Decimal(98)
ZERO = Decimal(0)
_CASH = {"BUY": -1, "COVER": -1, "SELL": 1, "SHORT": 1, "DIVIDEND": 1, "DEP": 1, "WD": -1, "FEE": -1}
"""What each kind does to the cash."""
_IDS = {security.ticker: security.id for security in SECURITIES}


class Transaction(NamedTuple):
    """One transaction, as the file has it."""

    timestamp: str
    portfolio_id: str
    transaction_type: str
    instrument_id: str
    quantity: str
    price: str


class Desk:
    """Runs one portfolio through all days; it never sells what it has not, and never pays with what it has not."""

    def __init__(self, mandate: Mandate, market: Market) -> None:
        self.mandate, self.market = mandate, market
        self.cash = Decimal(mandate.cash)
        self.held: dict[str, Decimal] = {}
        self.done: list[Transaction] = []
        self._chance = Chance("trades", mandate.id)
        self._tilts = dict.fromkeys(mandate.targets, Decimal(1))
        self._day = 0
        self._clock = datetime.min.replace(tzinfo=UTC)

    def run(self) -> list[Transaction]:
        """Return all its transactions, in order."""
        for day in range(len(self.market.days)):
            self._day = day
            self._begin(BEFORE_TRADING)
            if day > self.mandate.until and self.mandate.status == "CLOSED":
                break
            self._before_trading()
            self._begin(TRADING)
            self._trade()
        return self.done

    # --- before the market opens ---

    def _before_trading(self) -> None:
        day, mandate = self._day, self.mandate
        if self.held and day > 0 and self.market.days[day - 1].month != self.market.days[day].month:
            self._book("FEE", quantity=(self._total() * Decimal(mandate.fee) / 1200).quantize(CENT))
        for ticker, amount in self.market.dividends.get(day, []):
            self._book("DIVIDEND", ticker, max(self.held.get(ticker, ZERO), ZERO), amount)
        for when, kind, ticker, quantity, cost in mandate.transfers:
            if when == day:
                self._wait(300)
                self._book(kind, ticker, Decimal(quantity), Decimal(cost) if cost else None)
        for kind, amount in self._flows():
            self._wait(300)
            self._book(kind, quantity=amount)

    def _flows(self) -> Iterator[tuple[str, Decimal]]:
        """Yield the cash that comes and goes today."""
        day, mandate = self._day, self.mandate
        for when, kind, amount in mandate.flows:
            if when == day:
                yield kind, Decimal(amount)
        if mandate.status == "CLOSED" and day == mandate.until:
            yield "WD", self.cash
        if mandate.status == "LIQUIDATING" and day > mandate.until and (day - mandate.until) % 6 == 0:
            yield "WD", self.cash * 9 / 10 // 10_000 * 10_000
        if day == len(self.market.days) - 2 and (overdraft := Decimal(mandate.overdraft)):
            yield "WD", (self.cash + overdraft) // 100 * 100

    # --- while it is open ---

    def _trade(self) -> None:
        mandate, day = self.mandate, self._day
        since = day - mandate.start
        if mandate.status == "CLOSED" and day == mandate.until - 1:
            self._sell_out(Decimal(1))
        elif day > mandate.until:
            if mandate.status == "LIQUIDATING" and since % 2:
                self._sell_out(Decimal("0.22"))
        elif since >= 0 and day < len(self.market.days) - 1:
            step = since // 2 + 1
            if step <= mandate.tranches and since % 2 == 0:
                self._rebalance(Decimal(step) / mandate.tranches)
            elif step > mandate.tranches and (since % mandate.every == 0 or 0 < self._needed() > self.cash):
                self._tilt()
                self._rebalance(Decimal(1))

    def _tilt(self) -> None:
        """Change the views on what is held a little, give some of it up and take some up again."""
        chance = self._chance
        for ticker, tilt in self._tilts.items():
            if not tilt:
                self._tilts[ticker] = Decimal(1) if chance.happens(45) else tilt
            elif chance.happens(self.mandate.restless):
                self._tilts[ticker] = ZERO
            else:
                self._tilts[ticker] = min(max(tilt * chance.between("0.93", "1.07"), Decimal("0.7")), Decimal("1.3"))

    def _rebalance(self, fraction: Decimal) -> None:
        """Trade towards the targets: first what brings cash, then what costs it, as far as the cash goes."""
        total, building = self._total(), fraction < 1
        targets = ((Decimal(weight), self._tilts[ticker]) for ticker, weight in self.mandate.targets.items())
        longs = sum((max(weight, ZERO) * tilt for weight, tilt in targets), ZERO)
        fraction *= min(Decimal(1), _INVESTED / longs)
        raising: list[tuple[str, Decimal]] = []
        spending: list[tuple[str, Decimal]] = []
        for ticker, weight in self.mandate.targets.items():
            price = self.market.close(self._day - 1, ticker)
            held = self.held.get(ticker, ZERO)
            wanted = (total - self._needed()) * Decimal(weight) / 100 * self._tilts[ticker] * fraction / price
            change = self._lot(abs(wanted - held)).copy_sign(wanted - held)
            if not self._tilts[ticker]:
                change = -held
            elif building and (change < 0) == (Decimal(weight) > 0):
                continue
            if abs(change * price) > total * _SMALL or (change and not self._tilts[ticker]):
                (raising if change < 0 else spending).append((ticker, change))
        for ticker, change in self._chance.shuffled(raising):
            self._book("SHORT" if Decimal(self.mandate.targets[ticker]) < 0 else "SELL", ticker, -change)
        self._wait(self._chance.whole(900, 4500))
        for ticker, change in self._chance.shuffled(spending):
            kind = "COVER" if Decimal(self.mandate.targets[ticker]) < 0 else "BUY"
            price = self.market.during(self._day, ticker, self._chance)
            spare = max(self.cash - self._needed() - total * _KEPT, ZERO)
            affordable = (spare / price).quantize(Decimal(1).scaleb(-self.mandate.places), ROUND_DOWN)
            quantity = min(change, affordable)
            if quantity * price > total * _SMALL / 3 or quantity == change:
                self._book(kind, ticker, quantity, price)
            if self._chance.happens(25):
                self._wait(self._chance.whole(60, 1200))

    def _sell_out(self, part: Decimal) -> None:
        for ticker, held in self._chance.shuffled(sorted(self.held.items())):
            worth = held * self.market.close(self._day - 1, ticker)
            small = worth < Decimal(60_000) or part == 1
            if small or self._chance.happens(60):
                self._book("SELL", ticker, held if small else self._lot(held * part))

    # --- the account ---

    def _total(self) -> Decimal:
        return self.cash + sum(
            (held * self.market.close(self._day - 1, ticker) for ticker, held in self.held.items()), ZERO
        )

    def _needed(self) -> Decimal:
        """Return the cash that goes out on the next day of trading."""
        return sum(
            (Decimal(amount) for day, kind, amount in self.mandate.flows if kind == "WD" and day == self._day + 1),
            ZERO,
        )

    def _lot(self, quantity: Decimal) -> Decimal:
        """Return a quantity as people trade it: tens and fives where there are many."""
        if self.mandate.places:
            return quantity.quantize(Decimal(1).scaleb(-self.mandate.places), ROUND_DOWN)
        lot = 50 if quantity >= 1000 else 10 if quantity >= 200 else 5 if quantity >= 50 else 1
        return quantity // lot * lot

    def _begin(self, at: time) -> None:
        spread = self._chance.whole(0, 5400) if at == TRADING else self._chance.whole(0, 240)
        self._clock = datetime.combine(self.market.days[self._day], at, UTC) + timedelta(seconds=spread)

    def _wait(self, seconds: int) -> None:
        last = datetime.combine(self.market.days[self._day], TRADING_ENDS, UTC)
        self._clock = min(self._clock + timedelta(seconds=seconds), last)

    def _book(self, kind: str, ticker: str = "", quantity: Decimal = ZERO, price: Decimal | None = None) -> None:
        if quantity <= 0:
            return
        if kind in {"BUY", "SELL", "SHORT", "COVER"} and price is None:
            price = self.market.during(self._day, ticker, self._chance)
        self.cash += _CASH.get(kind, 0) * quantity * (1 if price is None else price)
        if ticker and kind != "DIVIDEND":
            moved = quantity if kind in {"BUY", "COVER", "IN"} else -quantity
            self.held[ticker] = self.held.get(ticker, ZERO) + moved
            if not self.held[ticker]:
                del self.held[ticker]
        self.done.append(
            Transaction(
                self._clock.strftime("%Y-%m-%dT%H:%M:%SZ"),
                self.mandate.id,
                kind,
                _IDS.get(ticker, ""),
                format(quantity, "f"),
                "" if price is None else format(price, "f"),
            )
        )
