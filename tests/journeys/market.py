"""A market over HTTP: clients that trade, upload prices and read, and a plain book of all that was accepted.

The book is kept by other means than the application's: fractions, in the order of the log.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import httpx2

from api.numbers import loads
from domain.portfolio import PositionUpdate, TransactionType
from tests.api.asking import opening, pricing, trade, updating
from tests.domain.fraction_model import PlainPortfolio, Verdict
from tests.journeys.desk import once_there

INSTRUMENTS = ("AAPL", "MSFT", "NVDA", "TSLA", "X.1")
PORTFOLIOS = ("P0", "P1", "P2", "P3")
KINDS = ("BUY", "BUY", "SELL", "SELL", "SHORT", "COVER", "IN", "OUT", "DEP", "WD", "FEE", "DIVIDEND")
CENT = Fraction(1, 100)


class Call(NamedTuple):
    """An accepted call by its log position; ``portfolio_id`` is empty for an upload of prices."""

    position: int
    portfolio_id: str
    body: dict[str, Any]


class Read(NamedTuple):
    """A state that a reader has seen, in the order of seeing, and the position it had asked for."""

    at_least: int
    version: int
    state: dict[str, Any]


class Price(NamedTuple):
    """A price that won when it was recorded, and its log position."""

    position: int
    as_of: str
    price: Fraction


@dataclass
class Market:
    """Clients of an application, each a method; what they were answered is kept."""

    http: httpx2.AsyncClient
    seed: int = 1
    instruments: Sequence[str] = INSTRUMENTS
    calls: list[Call] = field(default_factory=list)
    reads: dict[str, list[Read]] = field(default_factory=lambda: defaultdict(list))
    reached: int = 0
    """The highest position that a command was told."""
    stopping: bool = False

    async def open(self) -> None:
        """Open the portfolios, each with something of everything."""
        for number, portfolio_id in enumerate(PORTFOLIOS):
            await self.ask("POST", "/api/v1/portfolios", opening(portfolio_id, cash_balance=1000 * number), 201)
            held = [trade("BUY", 5, name, 10 + number) for name in self.instruments]
            assert await self.update(portfolio_id, updating(*held, timestamp=moment(0)))

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *statuses: int) -> httpx2.Response:
        """Send a request and return its answer, which must have one of these statuses."""
        answer = await self.http.request(method, path, json=body)
        assert answer.status_code in (statuses or (200,)), f"{method} {path}: {answer.status_code} {answer.text}"
        self.reached = max(self.reached, int(answer.headers.get("X-Position", 0)))
        return answer

    async def update(self, portfolio_id: str, body: dict[str, Any]) -> httpx2.Response | None:
        """Send an update and return the answer; None where the portfolio refuses it."""
        answer = await self.ask("POST", f"/api/v1/portfolio/{portfolio_id}/update", body, 200, 409)
        if answer.status_code == 409:
            assert answer.json()["code"] == "rule-violated"
            return None
        self.calls.append(Call(int(answer.headers["X-Position"]), portfolio_id, body))
        consistent(loads(answer.content))
        return answer

    async def upload(self, body: dict[str, Any]) -> None:
        answer = await self.ask("POST", "/api/v1/prices", body)
        self.calls.append(Call(int(answer.headers["X-Position"]), "", body))

    async def see(self, portfolio_id: str, at_least: int) -> None:
        """Read a state that includes this position, and keep it."""
        path = f"/api/v1/portfolio/{portfolio_id}/state?at_least={at_least}"
        answer = await once_there(self.http, path, {"Prefer": "wait=30"})
        state = loads(answer.content)
        consistent(state)
        self.reads[portfolio_id].append(Read(at_least, int(answer.headers["ETag"].strip('"')), state))

    async def trade_on(self, number: int, count: int) -> None:
        """Trade one thing at a time, in any of the portfolios."""
        choose = random.Random(f"trader {self.seed} {number}")
        for _ in range(count):
            if self.stopping:
                return
            await self.update(choose.choice(PORTFOLIOS), random_update(choose, self.instruments))

    async def upload_on(self, number: int, count: int, *more: str) -> None:
        """Upload prices of some instruments; with all of ``more`` each time."""
        choose = random.Random(f"uploader {self.seed} {number}")
        for _ in range(count):
            if self.stopping:
                return
            names = choose.sample(self.instruments, choose.randrange(1, len(self.instruments))) + list(more)
            prices = {name: str(Decimal(choose.randrange(1, 10**6)).scaleb(-4)) for name in names}
            await self.upload(pricing(prices, moment(choose.randrange(30))))

    async def read_on(self, portfolio_id: str) -> None:
        """Read one state again and again, at the newest position known, until all is over."""
        while not self.stopping:
            await self.see(portfolio_id, self.reached)

    async def check(self) -> None:
        """Every state read on the way was one of the book's, and what is read at the end is the book's last."""
        for portfolio_id in PORTFOLIOS:
            await self.see(portfolio_id, self.reached)
        book = Book(sorted(self.calls, key=lambda call: call.position))
        for portfolio_id, reads in self.reads.items():
            book.check(portfolio_id, reads)
            await self._check_views(portfolio_id, book, reads[-1].state)

    async def _check_views(self, portfolio_id: str, book: Book, state: dict[str, Any]) -> None:
        """Check that the other views of a portfolio agree with its last state and with the book."""
        told = {}
        for part in ("analytics", "performance", "transactions?limit=1000"):
            path = f"/api/v1/portfolio/{portfolio_id}/{part}"
            headers = {"X-Min-Position": str(self.reached), "Prefer": "wait=30"}
            answer = await once_there(self.http, path, headers)
            told[part.partition("?")[0]] = loads(answer.content)
        accounts = book.portfolio(portfolio_id, len(self.calls)).accounts.values()
        assert told["analytics"]["total_value"] == state["total_value"]
        assert told["analytics"]["realized_pnl"] == cents(sum((each.realized for each in accounts), Fraction()))
        assert told["performance"]["series"][-1]["total_value"] == state["total_value"]
        updates = [each for call in book.calls if call.portfolio_id == portfolio_id for each in call.body["updates"]]
        assert told["transactions"]["next"] is None
        listed = [
            (item["transaction_type"], Fraction(item["quantity"])) for item in reversed(told["transactions"]["items"])
        ]
        opening_cash = 1 if PORTFOLIOS.index(portfolio_id) else 0
        assert listed[opening_cash:] == [(each["transaction_type"], amount(each)) for each in updates]


def amount(update: dict[str, Any]) -> Fraction:
    return Fraction(str(update["quantity_change"]))


def moment(number: int) -> str:
    return f"2025-06-20T10:00:{number:02}Z"


def random_update(choose: random.Random, instruments: Sequence[str] = INSTRUMENTS) -> dict[str, Any]:
    """Return an update of one kind, whose time often goes back."""
    kind, quantity = choose.choice(KINDS), str(Decimal(choose.randrange(1, 10**4)).scaleb(-3))
    if kind in ("DEP", "WD", "FEE"):
        return updating(trade(kind, quantity), timestamp=moment(choose.randrange(30)))
    price = str(Decimal(choose.randrange(1, 10**6)).scaleb(-4))
    asked = trade(kind, quantity, choose.choice(instruments), price)
    return updating(asked, timestamp=moment(choose.randrange(30)))


def consistent(state: Mapping[str, Any]) -> None:
    """Check that the total is cash and market values, as far as rounded figures can tell."""
    parts = sum(Fraction(position["market_value"]) for position in state["positions"])
    assert abs(Fraction(state["total_value"]) - parts) <= CENT / 2 * (len(state["positions"]) + 1), state


@dataclass
class Book:
    """What these calls, in the order of the log, make of portfolios and prices."""

    calls: list[Call]

    @cached_property
    def prices(self) -> dict[str, list[Price]]:
        """Every price that won, by instrument: the later time wins, if equal the later one."""
        won: dict[str, list[Price]] = defaultdict(list)
        for call in self.calls:
            for name, price, as_of, first_only in quotes(call.body):
                last = won[name][-1] if won[name] else None
                if last is None or (not first_only and as_of >= last.as_of):
                    won[name].append(Price(call.position, as_of, Fraction(price)))
        return won

    def portfolio(self, portfolio_id: str, calls: int) -> PlainPortfolio:
        """Return the portfolio after so many of its calls."""
        plain = PlainPortfolio(cash=Fraction(1000 * PORTFOLIOS.index(portfolio_id)))
        for call in [call for call in self.calls if call.portfolio_id == portfolio_id][:calls]:
            for update in call.body["updates"]:
                assert plain.apply(asked(update)) is Verdict.TAKEN
        return plain

    def check(self, portfolio_id: str, reads: list[Read]) -> None:
        """Check the states of one reader, one after the other.

        Facts are those of the version that is told; a price is one in force at or after the position asked for, and
        never from before one that was shown already.
        """
        own = [call for call in self.calls if call.portfolio_id == portfolio_id]
        versions = list(accumulate((len(call.body["updates"]) for call in own), initial=1))
        shown = dict.fromkeys(self.prices, 0)
        for before, read in pairwise([Read(0, 0, {}), *reads]):
            calls = versions.index(read.version)
            assert read.version >= before.version
            assert calls >= sum(call.position <= read.at_least for call in own)
            plain = self.portfolio(portfolio_id, calls)
            held = {name: account for name, account in plain.accounts.items() if account.quantity}
            positions = {position["instrument_id"]: position for position in read.state["positions"]}
            assert sorted(positions) == sorted([*held, "CASH"])
            assert read.state["cash_balance"] == cents(plain.cash)
            for name, account in held.items():
                position, prices = positions[name], self.prices[name]
                in_force = sum(price.position <= read.at_least for price in prices) - 1
                first = max(shown[name], in_force)
                fit = [
                    index
                    for index, price in enumerate(prices)
                    if index >= first and cents(account.quantity * price.price) == position["market_value"]
                ]
                assert fit, (portfolio_id, name, read.at_least, position, prices[first:])
                shown[name] = fit[0]
                assert Fraction(position["quantity"]) == account.quantity
                assert position["cost_basis"] == cents(account.cost)
                gains = [cents(account.quantity * prices[index].price - account.cost) for index in fit]
                assert position["unrealized_pnl"] in gains


def quotes(body: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return the prices that a call carries: instrument, price, time, and whether only a first one counts."""
    if "prices" in body:
        return [(name, price, body["as_of"], False) for name, price in body["prices"].items()]
    return [
        (update["instrument_id"], str(update["price"]), body["timestamp"], update["transaction_type"] == "IN")
        for update in body["updates"]
        if update["transaction_type"] in ("BUY", "SELL", "SHORT", "COVER", "IN") and Fraction(str(update["price"]))
    ]


def asked(update: dict[str, Any]) -> PositionUpdate:
    price = update.get("price")
    return PositionUpdate(
        transaction_type=TransactionType(update["transaction_type"]),
        quantity_change=Decimal(str(update["quantity_change"])),
        instrument_id=update.get("instrument_id"),
        price=None if price is None else Decimal(str(price)),
    )


def cents(exact: Fraction) -> Decimal:
    """Return the amount in money, half-even."""
    return Decimal(f"{round(exact * 100)}E-2")
