"""Whose executions are, from the GlobeCo Trade Service (seed 001)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from domain.execution import wrong_order_id
from domain.portfolio import wrong_id
from domain.values import places, plain
from write_side.adapters.service import Service, ServiceUnavailable, decimal_of
from write_side.execution.ports import LookUpFailed, Owner

PATH: Final = "/api/v2/executions"
_LONGEST: Final = 500
"""Characters of a reason: it is kept, and shown to people."""


def _unseen(found: bool) -> None:
    """Count nothing."""


class TradeServiceOwners:
    """The port ``Owners`` on the Trade Service; ``observe`` is told of every look-up whether it has found one."""

    def __init__(self, trades: Service, observe: Callable[[bool], None] = _unseen) -> None:
        self._trades, self._observe = trades, observe

    async def of(self, service_id: int) -> Owner:
        try:
            owner = await self._asked(service_id)
        except LookUpFailed:
            self._observe(False)
            raise
        self._observe(True)
        return owner

    async def _asked(self, service_id: int) -> Owner:
        try:
            answer = await self._trades.get(PATH, {"executionServiceId": str(service_id)})
        except ServiceUnavailable as error:
            raise LookUpFailed(_printable(str(error))) from None
        where = f"{self._trades.name} at GET {PATH}"
        if answer is None:
            raise LookUpFailed(f"{where}: it knows no such execution")
        try:
            return owner_of(answer, service_id)
        except LookUpFailed as error:
            raise LookUpFailed(f"{where}: {error}") from None


class NoTradeService:
    """The port ``Owners`` where there is no Trade Service to ask."""

    async def of(self, service_id: int) -> Owner:
        raise LookUpFailed("no TRADE_SERVICE_URL is set and the row has no portfolioId")


def owner_of(answer: Any, service_id: int) -> Owner:
    """Return whose execution this is by an answer of the Trade Service; raises ``LookUpFailed``.

    One that says of itself that it is another execution is not taken: who does not filter answers with its first page.
    The portfolio is at ``executions[0].tradeOrder.portfolio.portfolioId``, else at a ``portfolioId`` of
    ``executions[0]`` or of the answer (contract "001"); the order at ``tradeOrder.orderId``, else ``orderId``.
    """
    if not isinstance(answer, dict):
        raise LookUpFailed("the answer is not an object")
    executions = answer.get("executions")
    if executions is not None and not isinstance(executions, list):
        raise LookUpFailed("executions is not a list")
    if executions == []:
        raise LookUpFailed("it knows no such execution: executions is empty")
    execution = _object(executions[0]) if executions else {}
    told_of = execution.get("executionServiceId")
    if told_of is not None and decimal_of(told_of) != service_id:
        raise LookUpFailed(f"it answers about execution {_printable(str(told_of))[:40]}")
    trade_order = _object(execution.get("tradeOrder"))
    told = (_object(trade_order.get("portfolio")), execution, answer)
    portfolio_id = next((each["portfolioId"] for each in told if each.get("portfolioId") is not None), None)
    if portfolio_id is None:
        raise LookUpFailed("the answer names no portfolio")
    if not isinstance(portfolio_id, str):
        raise LookUpFailed(f"portfolioId is {_printable(str(portfolio_id))[:40]}, not a text")
    if fault := wrong_id(portfolio_id):
        raise LookUpFailed(f"portfolioId {fault}")
    return Owner(portfolio_id, _order_id(trade_order) or _order_id(execution))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _order_id(named: dict[str, Any]) -> str | None:
    """Return the id of the order; None for what can be none of ours, which does not make a portfolio unknown."""
    order_id = named.get("orderId")
    if isinstance(order_id, Decimal) and not places(order_id):
        order_id = plain(order_id)
    return order_id if isinstance(order_id, str) and wrong_order_id(order_id) is None else None


def _printable(text: str) -> str:
    """Return the text as it can be kept and shown anywhere."""
    return "".join(each if each.isprintable() else "?" for each in text[:_LONGEST])
