"""What the trade service knows: each execution by its ``executionServiceId``, and the pages in which it tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_ELSEWHERE = 1000
"""Its own ids are other numbers than ``executionServiceId``, so nobody mistakes one for the other unseen."""
_OURS = frozenset({"executionServiceId", "portfolioId", "portfolioName", "orderId"})

Execution = dict[str, Any]


class Book:
    """Executions in memory; one that is put in again replaces what was known."""

    def __init__(self, anyone: str | None = None) -> None:
        self._anyone = anyone
        self._known: dict[int, Execution] = {}

    def put(self, told: Iterable[object]) -> int:
        """Keep executions as they are told and return how many; raises ``ValueError`` and keeps none if one is wrong.

        A told execution has ``executionServiceId``, ``portfolioId`` (null: its portfolio is null), perhaps ``orderId``
        and ``portfolioName``; all other members are told again as they are.
        """
        made = {each["executionServiceId"]: each for each in map(_execution, told)}
        self._known.update(made)
        return len(made)

    def of(self, service_id: int) -> list[Execution]:
        """Return the execution with this id as a list of one, an empty one for an id that is not known."""
        known = self._known.get(service_id)
        if known is None and self._anyone is not None:
            known = execution(service_id, self._anyone)
        return [] if known is None else [known]

    def page(self, limit: int, offset: int) -> dict[str, Any]:
        """Return so many executions after so many others, by id."""
        ids = sorted(self._known)
        return page([self._known[number] for number in ids[offset : offset + limit]], len(ids), limit, offset)


def execution(
    service_id: int,
    portfolio_id: str | None,
    order_id: object = None,
    name: str | None = None,
    free: Mapping[str, Any] | None = None,
) -> Execution:
    """Return an execution as GlobeCo's service tells it; free members stand last, over what is there by default."""
    portfolio = None if portfolio_id is None else {"portfolioId": portfolio_id, "name": name or portfolio_id}
    number = service_id + _ELSEWHERE
    order = {"id": number, "orderId": order_id, "portfolio": portfolio}
    return {"id": number, "executionServiceId": service_id, "tradeOrder": order, "version": 1, **(free or {})}


def page(executions: Sequence[Execution], total: int, limit: int = 50, offset: int = 0) -> dict[str, Any]:
    """Return the answer that holds these of all ``total`` executions."""
    return {
        "executions": list(executions),
        "pagination": {
            "totalElements": total,
            "totalPages": -(-total // limit),
            "currentPage": offset // limit,
            "pageSize": limit,
            "hasNext": offset + len(executions) < total,
            "hasPrevious": offset > 0,
        },
    }


def _execution(told: object) -> Execution:
    if not isinstance(told, Mapping):
        raise ValueError(f"an execution is an object with executionServiceId and portfolioId, not {told!r:.60}")
    service_id = told.get("executionServiceId")
    if not isinstance(service_id, int) or isinstance(service_id, bool):
        raise ValueError(f"executionServiceId is {service_id!r:.60}, give a whole number")
    if "portfolioId" not in told:
        raise ValueError(f"execution {service_id} has no portfolioId, give one (or null)")
    portfolio_id, name = told["portfolioId"], told.get("portfolioName")
    if not isinstance(portfolio_id, str | None) or not isinstance(name, str | None):
        raise ValueError(f"execution {service_id}: portfolioId and portfolioName are texts or null")
    free = {member: value for member, value in told.items() if member not in _OURS}
    return execution(service_id, portfolio_id, told.get("orderId"), name, free)
