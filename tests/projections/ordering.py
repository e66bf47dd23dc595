"""A rebalance whose orders can be sent, orders that were, executions that name them, and random logs of all these."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.base import Event
from domain.execution import Execution, ExecutionBooked, ExecutionBookingParked, FailedExecution, Report, TradeType
from domain.order import Blotter, Order, OrderStatus, orders_of
from domain.rebalance import Rebalance, RebalanceRun
from tests.projections.rebalancing import GOLD, TECH, a_rebalance, a_run

NOW = datetime(2025, 6, 21, 10, tzinfo=UTC)


def sold_and_bought(
    number: int = 1, portfolio_id: str = "ACC-1"
) -> tuple[RebalanceRun, Rebalance, tuple[Order, ...], list[Event]]:
    """A rebalance of 100,000 in cash and 1,000 of GOLD at 0.00012345: its run, itself, its orders and its events.

    It is worth 100,000.12345. Sold is GOLD, bought are 301 of BOND at 99.5 and 399 of TECH at 150.3383.
    """
    run = a_run(number, (portfolio_id,))
    rebalance = a_rebalance(run, portfolio_id, "100000", {GOLD: "1000"})
    events = [*run.collect_events(), *rebalance.collect_events()]
    return run, rebalance, orders_of(rebalance.rebalance_id, run, rebalance), events


def sent(rebalance: Rebalance, orders: Sequence[Order], *, cancelled: bool = False, at: datetime = NOW) -> list[Event]:
    """The events of a blotter with these orders alone."""
    blotter = Blotter.begin(rebalance.portfolio_id, at)
    blotter.send(rebalance.rebalance_id, rebalance.run_id, orders, at, last_filled=True)
    if cancelled:
        blotter.cancel(rebalance.rebalance_id, at + timedelta(hours=1), status=OrderStatus.OPEN)
    return list(blotter.collect_events())


def executed(
    service_id: int,
    order_id: str | None,
    quantity: str,
    price: str,
    *,
    security_id: str = TECH,
    side: str = "BUY",
    portfolio_id: str = "ACC-1",
) -> Event:
    """An execution that has filled this quantity."""
    report = _report(order_id, quantity, price, security_id, side)
    (event,) = Execution.record(service_id, report, portfolio_id, NOW).collect_events()
    return event


def _report(order_id: str | None, quantity: str, price: str, security_id: str, side: str) -> Report:
    return Report(
        execution_status="FULL",
        trade_type=TradeType(side),
        destination="ML",
        security_id=security_id,
        ticker="T",
        quantity=Decimal(quantity) or Decimal(1),
        limit_price=None,
        received=NOW,
        sent=NOW,
        last_fill=NOW,
        quantity_filled=Decimal(quantity),
        total_amount=Decimal(0),
        average_price=Decimal(price),
        order_id=order_id,
    )


def not_looked_up(service_id: int, *order_ids: str | None, quantity: str = "1", recorded: bool = False) -> list[Event]:
    """The failed look-ups of an execution, with what it was reported to fill each time, and perhaps their end."""
    reports = [_report(order_id, quantity, "1", TECH, "BUY") for order_id in order_ids]
    failed = FailedExecution.keep(service_id, reports[0], "away", NOW)
    for report in reports[1:]:
        failed.fail_again(report, "still away", NOW)
    if recorded:
        failed.leave(NOW)
    return list(failed.collect_events())


def booked(service_id: int, version: int = 2) -> Event:
    """The booking of an execution."""
    return ExecutionBooked(
        originator_id=f"execution/{service_id}", originator_version=version, timestamp=NOW, portfolio_version=2
    )


def parked(service_id: int, reason: str) -> Event:
    """That the portfolio of an execution does not take it."""
    return ExecutionBookingParked(
        originator_id=f"execution/{service_id}", originator_version=2, timestamp=NOW, reason=reason
    )


def random_orders(seed: int, rebalances: int) -> list[Event]:
    """A log of so many rebalances with their orders, whose executions come before, between and after, some wrong."""
    choose = random.Random(seed)
    events: list[Event] = []
    service_id = 0
    for number in range(1, rebalances + 1):
        portfolio_id = f"ACC-{number}"
        _, rebalance, orders, made = sold_and_bought(number, portfolio_id)
        events += made
        fills: list[Event] = []
        for _ in range(choose.randrange(12)):
            service_id += 1
            order = choose.choice(orders)
            *failed, ended = not_looked_up(
                service_id, order.order_id, choose.choice((order.order_id, None)), recorded=True
            )
            fate = choose.randrange(4)
            fills += failed if fate > 1 else []
            fills.append(
                executed(
                    service_id,
                    choose.choice((order.order_id, order.order_id, f"{rebalance.rebalance_id}-9", "DESK-1", None)),
                    str(Decimal(choose.randrange(10**6)).scaleb(-choose.randrange(9))),
                    str(Decimal(choose.randrange(1, 10**6)).scaleb(-choose.randrange(9))),
                    security_id=choose.choice((order.security_id, order.security_id, "OTHER")),
                    side=order.transaction_type,
                    portfolio_id=choose.choice((portfolio_id, portfolio_id, "ACC-0")),
                )
            )
            fills += [ended] if fate > 2 else []
            fate = choose.randrange(4)
            fills += [parked(service_id, "why")] if fate > 1 else []
            fills += [booked(service_id, 2 + (fate > 1))] if fate % 2 else []
        steps = sent(rebalance, orders, cancelled=choose.random() < 0.4) if choose.random() < 0.8 else []
        while steps or fills:
            from_steps = bool(steps) and (not fills or choose.random() < 0.3)
            events.append((steps if from_steps else fills).pop(0))
    return events
