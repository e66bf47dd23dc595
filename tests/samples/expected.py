"""What the sample portfolios have to show, computed from the files by other means than the application's."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from samples.demo.make import FOLDER

ZERO = Decimal(0)
LAST_OF_SEPTEMBER, LAST_BUT_ONE, LAST = "2026-09-30", "2026-10-29", "2026-10-30"


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a file of the demo."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass
class Growth:
    """A time-weighted return: pieces between external flows, multiplied. None: a piece began at nothing."""

    start: Decimal
    linked: Decimal | None = Decimal(1)

    def flow(self, before: Decimal, amount: Decimal) -> None:
        self.linked, self.start = self.until(before), before + amount

    def until(self, worth: Decimal) -> Decimal | None:
        return None if self.linked is None or self.start <= 0 else self.linked * worth / self.start


@dataclass
class Account:
    """One portfolio, followed through the file of transactions."""

    name: str
    status: str
    cash: Decimal
    held: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    cost: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    realised: Decimal = ZERO
    growths: dict[str, Growth] = field(default_factory=dict)

    def worth(self, prices: dict[str, Decimal]) -> Decimal:
        return self.cash + sum((quantity * prices[id_] for id_, quantity in self.held.items() if quantity), ZERO)

    def book(self, row: dict[str, str], prices: dict[str, Decimal]) -> None:
        """Book one transaction, at the prices of the evening before."""
        kind, id_ = row["transaction_type"], row["instrument_id"]
        quantity, price = Decimal(row["quantity"]), Decimal(row["price"] or 1)
        amount = quantity * price
        before = self.worth(prices) if kind in {"DEP", "WD", "IN", "OUT"} else ZERO
        average = self.cost[id_] / self.held[id_] if kind in {"SELL", "COVER", "OUT"} else ZERO
        if kind in {"BUY", "IN", "SELL", "OUT", "SHORT", "COVER"}:
            sign = 1 if kind in {"BUY", "IN", "COVER"} else -1
            self.held[id_] += sign * quantity
            self.cost[id_] += sign * (amount if kind in {"BUY", "IN", "SHORT"} else average * quantity)
        if kind in {"SELL", "COVER"}:
            self.realised += (price - average) * quantity * (1 if kind == "SELL" else -1)
        if kind in {"SELL", "SHORT", "DIVIDEND", "DEP"}:
            self.cash += amount
        elif kind in {"BUY", "COVER", "FEE", "WD"}:
            self.cash -= amount
        if kind in {"DEP", "WD", "IN", "OUT"}:
            flow = self.worth(prices) - before
            for growth in self.growths.values():
                growth.flow(before, flow)

    def money(self, prices: dict[str, Decimal]) -> dict[str, Decimal]:
        """Return its amounts by their names in the answers, in cents."""
        held = [id_ for id_, quantity in self.held.items() if quantity]
        amounts = {
            "cash_balance": self.cash,
            "total_value": self.worth(prices),
            "unrealized_pnl": sum((self.held[id_] * prices[id_] - self.cost[id_] for id_ in held), ZERO),
            "realized_pnl": self.realised,
        }
        return {name: round(amount, 2) for name, amount in amounts.items()}

    def line(self, prices: dict[str, Decimal]) -> list[str]:
        """Return its line of the table, without the name."""
        held = sum(1 for quantity in self.held.values() if quantity)
        amounts = [f"{round(amount):,}" for amount in self.money(prices).values()]
        worth = self.worth(prices)
        returns = [_percent(self.growths[name].until(worth)) for name in ("day", "month", "inception")]
        return [self.status, str(held), *amounts, *returns]


def _percent(growth: Decimal | None) -> str:
    """Return the return in percent, rounded as the application does: to six places, then for the table."""
    if growth is None:
        return "–"
    percent = round(round(growth - 1, 6) * 100, 2)
    return f"{percent:+,.2f}%" if percent else "0.00%"


@dataclass
class Expected:
    """What is to be seen at the end: by portfolio the line of the table, by name, and the amounts, by id."""

    lines: dict[str, list[str]]
    money: dict[str, dict[str, Decimal]]


def expected() -> Expected:
    """Return what the files come to."""
    with localcontext(prec=60):
        accounts, prices = closed()
        return Expected(
            {account.name: account.line(prices) for account in accounts.values()},
            {portfolio_id: account.money(prices) for portfolio_id, account in accounts.items()},
        )


def closed() -> tuple[dict[str, Account], dict[str, Decimal]]:
    """Return the accounts, by id, and the prices as they are on the last evening."""
    accounts = {
        row["portfolio_id"]: Account(row["portfolio_name"], row["status"], Decimal(row["cash_balance"]))
        for row in rows("portfolios")
    }
    for account in accounts.values():
        account.growths["inception"] = Growth(account.cash)
    closes: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in rows("prices"):
        closes[row["as_of"][:10]][row["instrument_id"]] = Decimal(row["price"])
    booked = defaultdict(list)
    for row in rows("transactions"):
        booked[row["timestamp"][:10]].append(row)
    prices: dict[str, Decimal] = defaultdict(Decimal)  # on the first day nothing is held that needs one
    for day, closing in closes.items():
        for row in booked[day]:
            accounts[row["portfolio_id"]].book(row, prices)
        prices = closing
        for account in accounts.values():
            if day == LAST_OF_SEPTEMBER:
                account.growths["month"] = Growth(account.worth(prices))
            if day == LAST_BUT_ONE:
                account.growths["day"] = Growth(account.worth(prices))
    return accounts, prices
