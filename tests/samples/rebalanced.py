"""What the sample models make of the sample portfolios, computed from the files in fractions, without an optimiser."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from math import ceil, floor
from typing import Any

from samples.demo.make import FOLDER
from tests.samples.expected import closed, rows


@dataclass
class Row:
    """One security of a portfolio: prices and quantities, weights and band as parts of the portfolio's value."""

    price: Fraction
    held: Fraction
    weight: Fraction
    target: Fraction
    low: Fraction
    high: Fraction
    value: Fraction
    """That of the portfolio."""

    @property
    def least(self) -> int:
        """The fewest whole shares that are not below the band."""
        return max(0, ceil(self.value * self.low / self.price))

    @property
    def most(self) -> int:
        """The most whole shares that are not above the band."""
        return floor(self.value * self.high / self.price)

    @property
    def wanted(self) -> int:
        """The whole shares in the band that are nearest to the target; of two the count nearer to what is held."""
        ideal = self.value * self.target / self.price
        beside = {min(max(count, self.least), self.most) for count in (floor(ideal), ceil(ideal))}
        return min(beside, key=lambda count: (abs(count - ideal), abs(count - self.held), count))

    @property
    def trade(self) -> Fraction:
        return self.wanted - self.held

    @property
    def off(self) -> Fraction:
        """How far it is from its target afterwards, in money."""
        return abs(self.value * self.target - self.wanted * self.price)


@dataclass
class Rebalanced:
    """A portfolio under a model: its securities, by ticker in order, and its cash before."""

    name: str
    cash: Fraction
    rows: dict[str, Row]

    @property
    def impossible(self) -> dict[str, Row]:
        """The securities without a whole number of shares in their band."""
        return {ticker: row for ticker, row in self.rows.items() if row.least > row.most}

    @property
    def value(self) -> Fraction:
        return self.cash + sum(row.held * row.price for row in self.rows.values())

    @property
    def cash_after(self) -> Fraction:
        return self.cash - sum(row.trade * row.price for row in self.rows.values())

    def preview(self) -> dict[str, list[str]]:
        """Return the cells of the preview: of the rows by ticker, and of the last line, which is cash."""
        cells = {ticker: _preview(row) for ticker, row in self.rows.items()}
        parts = (self.cash / self.value, self.cash_after / self.value)
        return cells | {"Cash": [f"{rounded(100 * part, 2)}%" for part in parts]}

    def line(self) -> list[str]:
        """Return the cells of its line in the table of a run, without the name."""
        traded = [row.trade * row.price for row in self.rows.values() if row.trade]
        sells = -sum(amount for amount in traded if amount < 0)
        buys = sum(amount for amount in traded if amount > 0)
        whole = [f"{round(amount):,}" for amount in (sells, buys, self.cash, self.cash_after)]
        off = rounded(sum((row.off for row in self.rows.values()), Fraction()), 2)
        return [str(len(traded)), *whole, f"{off:,}", "OPTIMAL,", "closed-form"]


def rebalanced() -> dict[str, list[Rebalanced]]:
    """Return what is to be had under each model, by its name, for its portfolios in their order."""
    with localcontext(prec=60):
        accounts, prices = closed()
    tickers = {row["security_id"]: row["ticker"] for row in rows("securities")}
    found: dict[str, list[Rebalanced]] = {}
    for model in json.loads((FOLDER / "models.json").read_text(), parse_float=Decimal):
        positions = {position["security_id"]: position for position in model["positions"]}
        for portfolio_id in model["portfolios"]:
            account = accounts[portfolio_id]
            held = {id_: quantity for id_, quantity in account.held.items() if quantity}
            value = Fraction(account.worth(prices))
            each = {
                tickers[id_]: _row(positions.get(id_), Fraction(held.get(id_, 0)), Fraction(prices[id_]), value)
                for id_ in held.keys() | positions.keys()
            }
            one = Rebalanced(account.name, Fraction(account.cash), dict(sorted(each.items())))
            assert one.value == value
            found.setdefault(model["name"], []).append(one)
    return found


def _row(position: dict[str, Any] | None, held: Fraction, price: Fraction, value: Fraction) -> Row:
    """Return the row of a security; one that is not in the model is to go."""
    position = position or {"target": 0, "low_drift": 0, "high_drift": 0}
    target, low, high = (Fraction(position[name]) / 100 for name in ("target", "low_drift", "high_drift"))
    return Row(price, held, held * price / value, target, max(target - low, Fraction()), target + high, value)


def _preview(row: Row) -> list[str]:
    """Return the cells of a row; weights are rounded as the application does: to six places, then for the table."""
    percents = [100 * part for part in (rounded(row.weight, 6), row.target, row.low, row.high)]
    weight, target, low, high = (str(rounded(Fraction(percent), 2)) for percent in percents)
    after = rounded(Fraction(rounded(100 * row.wanted * row.price / row.value, 4)), 2)
    traded = [f"{_whole(row.trade):+,}", f"{round(row.trade * row.price):,}"] if row.trade else []
    return [f"{_whole(row.held):,}", f"{weight}%", f"{target}%", low, "–", f"{high}%", *traded, f"{after}%"]


def _whole(shares: Fraction) -> int:
    """Return a number of shares that is whole."""
    assert shares.denominator == 1
    return shares.numerator


def rounded(number: Fraction, places: int) -> Decimal:
    """Return the number with so many places, half-even."""
    return Decimal(round(number * 10**places)).scaleb(-places)
