"""What comes of the rebalance that the demo has traded, computed from the files in fractions: to the last cent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from tests.samples.expected import Account, closed, rows
from tests.samples.rebalanced import Rebalanced, rebalanced, rounded

MODEL, NAME, PORTFOLIO = "Global Balanced", "Young Savers Plan", "young-savers-plan"
FIRST = 2_026_103_001


@dataclass(frozen=True)
class Traded:
    """A trade, ``order`` by its number; an execution is a part of one."""

    order: int
    side: str
    ticker: str
    security_id: str
    quantity: Fraction
    price: Fraction

    @property
    def amount(self) -> Fraction:
        return self.quantity * self.price

    def part(self, quantity: Fraction) -> Traded:
        return Traded(self.order, self.side, self.ticker, self.security_id, quantity, self.price)

    def order_cells(self) -> list[str]:
        """Return its cells in the table of orders, without its id."""
        return [self.side, self.ticker, figure(self.quantity), f"{rounded(self.price, 2):,}", cents(self.amount)]

    def cells(self, service_id: int) -> list[str]:
        """Return its cells in the table of executions, without its id."""
        numbers = [figure(self.quantity), f"{rounded(self.price, 2):,}", cents(self.amount)]
        return [str(service_id), PORTFOLIO, f"…-{self.order}", self.side, self.ticker, *numbers, "BOOKED"]

    def line(self, execution_id: str) -> str:
        """Return its line in the file for accounting."""
        numbers = f"{rounded(self.quantity, 8):f},{rounded(self.price, 8):f}"
        return f"{PORTFOLIO},{self.security_id},AC{execution_id},{self.side},{numbers},20261030"


def wanted() -> Rebalanced:
    """Return the rebalance that is traded."""
    (found,) = (one for one in rebalanced()[MODEL] if one.name == NAME)
    return found


def orders() -> list[Traded]:
    """Return the orders: sells first, then by the id of the security."""
    ids = {row["ticker"]: row["security_id"] for row in rows("securities")}
    trades = [(row.trade < 0, ids[ticker], ticker, row) for ticker, row in wanted().rows.items() if row.trade]
    return [
        Traded(number, "SELL" if sell else "BUY", ticker, security_id, abs(row.trade), row.price)
        for number, (sell, security_id, ticker, row) in enumerate(
            sorted(trades, key=lambda trade: (not trade[0], trade[1])), start=1
        )
    ]


def executions() -> list[Traded]:
    """Return the executions: the first order in two parts, of which the first has whole shares, all others in one."""
    first, *others = orders()
    half = Fraction(first.quantity // 2)
    return [first.part(half), first.part(first.quantity - half), *others]


def sums(side: str) -> Fraction:
    """Return what was bought or sold, in money."""
    return sum((each.amount for each in executions() if each.side == side), Fraction())


def held() -> list[list[str]]:
    """Return the lines of the table of what is held afterwards, the last one cash."""
    found = wanted()
    lines = []
    for ticker, row in found.rows.items():
        weight = 100 * row.wanted * row.price / row.value
        percents = [f"{rounded(each, 4)}%" for each in (weight, 100 * row.target)]
        now = f"{row.wanted:,}"
        filled = f"{rounded(row.trade, 8).normalize():+,f}"
        lines.append(
            [ticker, figure(row.held), filled, now, now, *percents, f"{rounded(weight - 100 * row.target, 4):+}%"]
        )
    moved = rounded(sums("SELL") - sums("BUY"), 2)
    return [*lines, ["Cash", cents(found.cash), f"{moved:+,}", cents(found.cash_after), cents(found.cash_after)]]


def afterwards() -> Account:
    """Return the account of the portfolio with the executions booked, and its line in the first table."""
    with localcontext(prec=60):
        accounts, prices = closed()
        account = accounts[PORTFOLIO]
        for each in executions():
            quantity, price = (str(rounded(number, 8)) for number in (each.quantity, each.price))
            row = {"transaction_type": each.side, "instrument_id": each.security_id, "quantity": quantity}
            account.book(row | {"price": price}, prices)
        return account


def line_afterwards() -> list[str]:
    """Return the line of the portfolio in the first table when the demo is started again."""
    account = afterwards()
    with localcontext(prec=60):
        return account.line(closed()[1])


def money_afterwards() -> dict[str, Decimal]:
    """Return its amounts then."""
    account = afterwards()
    with localcontext(prec=60):
        return account.money(closed()[1])


def figure(number: Fraction) -> str:
    """Return a quantity with the places that it needs."""
    return f"{rounded(number, 8).normalize():,f}"


def cents(amount: Fraction) -> str:
    """Return an amount with its cents."""
    return f"{rounded(amount, 2):,}"
