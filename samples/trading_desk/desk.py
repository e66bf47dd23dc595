"""The desk at work: reads the orders of a rebalance, fills them, tells the trade service, reports the executions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from domain.values import ZERO
from samples.trading_desk.asking import Asking, DeskError
from samples.trading_desk.trading import Fill, Order, Trading

AT_ONCE: Final = 100
"""Executions in one request, as seed 001 takes them."""
_LETTERS: Final = 6
"""So many first characters of a security's id stand for a ticker that nobody has told."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A fill, and what the application has said to it: ``created``, ``skipped`` or ``error``."""

    fill: Fill
    ticker: str
    status: str
    execution_id: int | None
    error: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """What the desk did; ``position`` is the last log position that the application has told."""

    rebalance_id: str
    portfolio_id: str
    reported: Sequence[Reported]
    left: Sequence[Order]
    position: int

    def counted(self, status: str) -> int:
        """Return how many executions were answered with this status."""
        return sum(each.status == status for each in self.reported)


def fill(
    application: str,
    trade_service: str | None,
    rebalance_id: str | int,
    *,
    first_id: int,
    now: datetime,
    trading: Trading | None = None,
    at_least: int = 0,
    headers: Mapping[str, str] | None = None,
) -> Done:
    """Trade what is open of a rebalance's orders and return what came of it.

    Both services are given by their base URL. Executions are numbered from ``first_id`` on and all happen ``now``.
    Without a trade service each row tells its portfolio and order itself. ``at_least`` is a log position that the
    orders must be as new as; ``headers`` go with every request to the application. Raises ``DeskError``; executions
    that the application does not take are no error of the desk's but told in the result.
    """
    trading = trading or Trading()
    with Asking("application", application, {"X-User": "desk", **(headers or {})}) as app:
        path = f"/api/v1/rebalances/{quote(str(rebalance_id), safe='')}/orders"
        told = app.ask("GET", path, at_least=at_least).body
        portfolio_id, orders = _orders(told)
        fills, left = trading.trade(orders, first_id)
        tickers = {security_id: _ticker(app, security_id) for security_id in {each.order.security_id for each in fills}}
        rows = [row(each, tickers[each.order.security_id], now, trading.destination) for each in fills]
        if trade_service is None:
            for each, made in zip(fills, rows, strict=True):
                made.update(portfolioId=portfolio_id, orderId=each.order.order_id)
        elif fills:
            _register(trade_service, fills, portfolio_id)
        results, position = _report(app, rows)
    return Done(
        rebalance_id=str(rebalance_id),
        portfolio_id=portfolio_id,
        reported=[_reported(each, tickers[each.order.security_id], results) for each in fills],
        left=left,
        position=max(position, at_least),
    )


def row(fill: Fill, ticker: str, now: datetime, destination: str) -> dict[str, Any]:
    """Return the execution of a fill as seed 001 takes it; its quantity is the fill's, so parts add up to the order."""
    moment = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {
        "executionServiceId": fill.service_id,
        "isOpen": False,
        "executionStatus": "FILLED",
        "tradeType": fill.order.side,
        "destination": destination,
        "securityId": fill.order.security_id,
        "ticker": ticker,
        "quantity": fill.quantity,
        "limitPrice": None,
        "receivedTimestamp": moment,
        "sentTimestamp": moment,
        "lastFillTimestamp": moment,
        "quantityFilled": fill.quantity,
        "totalAmount": fill.amount,
        "averagePrice": fill.price,
    }


def _orders(told: Any) -> tuple[str, list[Order]]:
    """Return the portfolio and those of its orders of which something is open."""
    try:
        portfolio_id = str(told["portfolio_id"])
        orders = [
            Order(
                each["order_id"],
                each["transaction_type"],
                each["security_id"],
                _open(each),
                Decimal(each["price"]),
            )
            for each in told["orders"]
        ]
    except (KeyError, TypeError, ArithmeticError) as error:
        raise DeskError(f"application: the orders are not what is expected: {error!r} in {told!r:.200}") from None
    return portfolio_id, [order for order in orders if order.quantity > ZERO]


def _open(order: Mapping[str, Any]) -> Decimal:
    """Return how much of an order is open: a quantity, or whether all of it is."""
    left = order.get("open", True)
    if isinstance(left, bool):
        return Decimal(order["quantity"]) if left else ZERO
    return Decimal(left)


def _ticker(app: Asking, security_id: str) -> str:
    """Return what people call a security, the first letters of its id where nobody has said."""
    told = app.ask("GET", f"/api/v1/securities/{quote(security_id, safe='')}", good=(200, 404))
    return str(told.body["ticker"]) if told.status == 200 else security_id[:_LETTERS].upper()


def _register(trade_service: str, fills: Sequence[Fill], portfolio_id: str) -> None:
    told = [
        {"executionServiceId": each.service_id, "portfolioId": portfolio_id, "orderId": each.order.order_id}
        for each in fills
    ]
    with Asking("trade service", trade_service) as service:
        service.ask("POST", "/api/v2/executions", told)


def _report(app: Asking, rows: Sequence[dict[str, Any]]) -> tuple[dict[int, dict[str, Any]], int]:
    """Post the executions; return what is said to each by ``executionServiceId``, and the last log position."""
    results: dict[int, dict[str, Any]] = {}
    position = 0
    for some in _hundreds(rows):
        told = app.ask("POST", "/api/v1/executions", some, good=(201, 207, 400))
        if not isinstance(told.body, dict) or "results" not in told.body:
            raise DeskError(f"application: POST /api/v1/executions was answered {told.status}: {told.body!r:.300}")
        results |= {int(each["executionServiceId"]): each for each in told.body["results"]}
        position = max(position, told.position)
    return results, position


def _hundreds(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]


def _reported(fill: Fill, ticker: str, results: Mapping[int, Mapping[str, Any]]) -> Reported:
    result = results.get(fill.service_id)
    if result is None:
        raise DeskError(f"application: execution {fill.service_id} was reported and not answered")
    return Reported(
        fill=fill,
        ticker=ticker,
        status=str(result["status"]),
        execution_id=result.get("executionId"),
        error=str(result.get("error") or ""),
    )
