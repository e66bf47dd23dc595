"""The projector of the view of orders."""

from __future__ import annotations

from typing import TypeAlias, cast, get_args

from msgspec.structs import replace

from domain.base import Recorded
from domain.errors import Broken
from domain.execution import ExecutionRecorded
from domain.order import Blotter, OrdersCancelled, OrdersSent, place_of
from domain.values import EXACT
from projections.projector import Projector, by_key
from read_side.order import ORDERS, Fill, OrderLine, OrdersRow

_Event: TypeAlias = OrdersSent | OrdersCancelled | ExecutionRecorded


def keys(recorded: Recorded) -> tuple[str, ...]:
    """Return the rebalance that the event is about; none for an execution that names none of our orders."""
    event = cast(_Event, recorded.event)
    if isinstance(event, ExecutionRecorded):
        place = place_of(event.order_id)
        return () if place is None else (place[0],)
    return (event.rebalance_id,)


def evolve(row: OrdersRow | None, recorded: Recorded) -> OrdersRow:
    """Return the row after this event; raises ``Broken`` where orders are cancelled that were not sent."""
    match cast(_Event, recorded.event):
        case OrdersSent() as event:
            sent = OrdersRow(
                rebalance_id=event.rebalance_id,
                portfolio_id=recorded.stream[len(Blotter.TOPIC) + 1 :],
                version=recorded.version,
                sent_at=event.timestamp,
                lines=tuple(OrderLine(order) for order in event.orders),
                position=recorded.position,
            )
            for fill in () if row is None else row.unmatched:
                sent = _taken(sent, fill)
            return sent
        case OrdersCancelled(timestamp=at) as event:
            if row is None or row.sent_at is None:
                raise Broken(f"orders of rebalance {event.rebalance_id} are cancelled that were not sent")
            return replace(row, cancelled_at=at, version=recorded.version, position=recorded.position)
        case ExecutionRecorded() as event:
            known = row or OrdersRow(rebalance_id=keys(recorded)[0], position=recorded.position)
            return replace(_taken(known, _fill(event, recorded)), position=recorded.position)


def _fill(event: ExecutionRecorded, recorded: Recorded) -> Fill:
    report = event.report
    return Fill(
        recorded.position,
        event.order_id or "",
        event.portfolio_id,
        report.trade_type,
        report.security_id,
        report.quantity_filled,
        report.average_price,
    )


def _taken(row: OrdersRow, fill: Fill) -> OrdersRow:
    """Return the row with the fill counted for its order, or among those that fit none."""
    place = place_of(fill.order_id)
    number = place[1] - 1 if place is not None else len(row.lines)
    line = row.lines[number] if number < len(row.lines) else None
    if line is None or not _fits(row, line, fill):
        return replace(row, unmatched=(*row.unmatched, fill))
    counted = OrderLine(
        line.order,
        EXACT.add(line.filled, fill.quantity_filled),
        EXACT.add(line.amount, EXACT.multiply(fill.quantity_filled, fill.average_price)),
        (*line.execution_ids, fill.execution_id),
    )
    return replace(row, lines=(*row.lines[:number], counted, *row.lines[number + 1 :]))


def _fits(row: OrdersRow, line: OrderLine, fill: Fill) -> bool:
    order = line.order
    wanted = (row.portfolio_id, order.transaction_type, order.security_id)
    return wanted == (fill.portfolio_id, fill.transaction_type, fill.security_id)


ORDER_PROJECTOR = Projector(
    view=ORDERS, handles=frozenset(get_args(_Event)), keys=keys, apply=by_key(keys, evolve), kept=500
)
