"""A desk that rebalances over HTTP: it fills portfolios, asks until it is answered, and judges every answer anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import httpx2

from api.numbers import loads
from domain.rebalance import Line, Options, Problem, check, objective
from tests.api.asking import opening, pricing, trade, updating
from tests.domain.models import security

CENT: Final = Decimal("0.01")
AT_ONCE: Final = 16
LONG: Final = 240
"""Seconds after which what should come is taken not to come."""
Prices = Mapping[str, Decimal]


def prices_of(count: int) -> dict[str, Decimal]:
    """Return the prices of so many securities, 7.31 and higher."""
    return {security(number): Decimal(731 + 1361 * number).scaleb(-2) for number in range(1, count + 1)}


def modelled(name: str, securities: Sequence[str], portfolios: Sequence[str], drift: Any = 2) -> dict[str, Any]:
    """Return the body of a model in which all securities have the same target, 90 percent together at most."""
    target = str(Decimal(90 * 200 // max(1, len(securities))) / 200)
    positions = [
        {"security_id": each, "target": target, "low_drift": drift, "high_drift": drift} for each in securities
    ]
    return {"name": name, "positions": positions, "portfolios": list(portfolios)}


async def stocked(http: httpx2.AsyncClient, portfolios: Sequence[str], prices: Prices) -> None:
    """Price everything and open the portfolios, each with other cash and with some shares of every security."""
    await asked(http, "POST", "/api/v1/prices", pricing({name: str(price) for name, price in prices.items()}))
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, portfolio_id: str) -> None:
        bought = [
            trade("BUY", 1 + (number + place) % 7, name, str(price))
            for place, (name, price) in enumerate(prices.items())
        ]
        async with turns:
            await asked(http, "POST", "/api/v1/portfolios", opening(portfolio_id, cash_balance=20_000 + 97 * number))
            await asked(http, "POST", f"/api/v1/portfolio/{portfolio_id}/update", updating(*bought))

    await asyncio.gather(*(one(number, portfolio_id) for number, portfolio_id in enumerate(portfolios)))


async def asked(
    http: httpx2.AsyncClient,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    status: int = 0,
) -> httpx2.Response:
    """Send a request and return its answer, which has this status, or one of success."""
    answer = await http.request(method, path, json=body, headers=headers)
    assert answer.status_code == status if status else answer.is_success, f"{path}: {answer.status_code} {answer.text}"
    return answer


async def once_there(http: httpx2.AsyncClient, path: str, headers: Mapping[str, str]) -> httpx2.Response:
    """Ask until the answer has seen what the headers name, however long that takes, and return it: a 200."""
    async with asyncio.timeout(LONG):
        while (answer := await http.get(path, headers=headers)).status_code == 503:
            pass  # each of these waits
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
    return answer


async def until_answered(http: httpx2.AsyncClient, path: str, body: Any, key: str) -> httpx2.Response:
    """Send a request under its key again and again, until it is answered by more than "not now"."""
    async with asyncio.timeout(LONG):
        while True:
            try:
                answer = await http.post(path, json=body, headers={"Idempotency-Key": key})
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == 503 or "idempotency-key-in-flight" in answer.text:
                await asyncio.sleep(0.05)
                continue
            return answer


def problem_in(result: Mapping[str, Any], prices: Prices, options: Options) -> tuple[Problem, list[Decimal]]:
    """Return the problem that an answer is about, and its quantities."""
    lines = tuple(
        Line(
            row["security_id"],
            prices[row["security_id"]],
            *(Decimal(row[name]) for name in ("original_quantity", "target", "low_drift", "high_drift")),
        )
        for row in result["drifts"]
    )
    return Problem(Decimal(result["cash_before"]), lines, options), [
        Decimal(row["adjusted_quantity"]) for row in result["drifts"]
    ]


def judged(result: Mapping[str, Any], prices: Prices, options: Options = Options()) -> None:  # noqa: B008 - frozen
    """Check an answer by its own figures: quantities, objective, inputs, trades and cash."""
    problem, quantities = problem_in(result, prices, options)
    certificate = result["certificate"]
    assert check(problem, quantities) == []
    assert problem.digest == certificate["input_sha256"]
    assert round(objective(problem, quantities), 2) == certificate["objective"]
    assert 0 <= certificate["objective"] - certificate["lower_bound"] <= certificate["gap"] + CENT
    assert certificate["status"] == ("OPTIMAL" if certificate["gap"] <= CENT else "FEASIBLE")
    moved = {
        line.security_id: quantity - line.held
        for line, quantity in zip(problem.lines, quantities, strict=True)
        if quantity != line.held
    }
    signs = {"BUY": 1, "SELL": -1}
    trades = result["transactions"]
    assert {each["security_id"]: signs[each["transaction_type"]] * each["quantity"] for each in trades} == moved
    assert [each["transaction_type"] for each in trades] == sorted(each["transaction_type"] for each in trades)[::-1]
    assert all(each["price"] == prices[each["security_id"]] for each in trades)
    paid = sum((moved[name] * prices[name] for name in moved), Decimal(0))
    assert result["cash_after"] == round(Decimal(result["cash_before"]) - paid, 2)


def told(answer: httpx2.Response) -> Any:
    """Return the body, its numbers exact."""
    return loads(answer.content)
