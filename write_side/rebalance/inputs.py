"""From what a portfolio has, the prices and the model to its problem, or to why there is none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from domain.errors import Fault, FoliologError, Invalid, NotFound
from domain.rebalance import (
    CannotRebalance,
    Failure,
    Infeasible,
    MissingPrice,
    NonPositiveMarketValue,
    Options,
    Problem,
    RebalanceRun,
    ShortHolding,
    problem_of,
)
from domain.trading_day import trading_day
from domain.values import plain
from write_side.ports import Held

_NAMED = 20
"""So many securities the sentence of a refusal names; all are told beside it."""


def trade_date(now: datetime) -> str:
    """Return the day in New York, ``YYYY-MM-DD``, on which trades asked for now are meant (contract "002")."""
    return trading_day(now).isoformat()


def securities(run: RebalanceRun, held: Iterable[Held]) -> set[str]:
    """Return every security that the model has or one of these portfolios holds."""
    found = {position.security_id for position in run.positions}
    for each in held:
        found.update(security_id for security_id, quantity in each.quantities.items() if quantity)
    return found


def problem(run: RebalanceRun, portfolio_id: str, held: Held | None) -> Problem:
    """Return the problem of a portfolio in a run.

    Raises, in this order, ``NotFound``, ``ShortHolding``, ``MissingPrice`` and ``NonPositiveMarketValue``. A portfolio
    that is worth nothing and holds nothing has a problem too: nothing is traded.
    """
    if held is None:
        raise NotFound(f"portfolio {portfolio_id} does not exist")
    if short := sorted(security_id for security_id, quantity in held.quantities.items() if quantity < 0):
        raise ShortHolding(f"portfolio {portfolio_id} is short of {_named(short)}: cover first", tuple(short))
    prices = {security_id: price for security_id, price in (run.prices or {}).items() if price > 0}
    if missing := sorted(securities(run, [held]) - prices.keys()):
        raise MissingPrice(f"there is no price of {_named(missing)}", tuple(missing))
    stated = problem_of(held.cash, held.quantities, run.positions, prices, run.options)
    if stated.market_value < 0 or (not stated.market_value and any(held.quantities.values())):
        worth = plain(stated.market_value)
        raise NonPositiveMarketValue(f"portfolio {portfolio_id} is worth {worth}, cash and holdings together")
    return stated


def names_beside_model(run: RebalanceRun) -> bool:
    """Whether an option of the run names a security that is not in the model; it may be held."""
    named = {*run.options.do_not_trade, *run.options.lot_size}
    return not named <= securities(run, ())


def must_name_known(options: Options, known: Collection[str]) -> None:
    """Raise ``Invalid`` where an option names a security that is neither held nor in the model: a slip of the pen."""
    faults = [
        Fault(f"/do_not_trade/{index}", f"{security_id} is neither held nor in the model")
        for index, security_id in enumerate(options.do_not_trade)
        if security_id not in known
    ]
    faults.extend(
        Fault(f"/lot_size/{security_id}", f"{security_id} is neither held nor in the model")
        for security_id in options.lot_size
        if security_id not in known
    )
    if faults:
        raise Invalid(*faults)


def failure(portfolio_id: str, error: FoliologError) -> Failure:
    """Return the error as the record of a portfolio that has no result."""
    return Failure(
        portfolio_id=portfolio_id,
        code=error.code,
        detail=str(error),
        securities=error.securities if isinstance(error, CannotRebalance) else (),
        explanation=error.explanation if isinstance(error, Infeasible) else None,
    )


def _named(security_ids: list[str]) -> str:
    more = f" and {len(security_ids) - _NAMED} more" if len(security_ids) > _NAMED else ""
    return ", ".join(security_ids[:_NAMED]) + more
