"""The projector of the view of orders."""

from __future__ import annotations

from typing import TypeAlias, cast, get_args

from msgspec.structs import replace

from domain.base import Recorded
from domain.errors import Broken
from domain.execution import (
    Booking,
    ExecutionBooked,
    ExecutionBookingParked,
    ExecutionLookUpFailed,
    ExecutionLookUpFailedAgain,
    ExecutionRecorded,
    FailedExecutionRecorded,
)
from domain.order import Blotter, Order, OrdersCancelled, OrdersSent, place_of
from domain.values import EXACT
from projections.projector import Projector, Rows
from read_side.order import (
    ORDERS,
    SHOWN,
    EarlyRow,
    Fill,
    Fills,
    OrderLine,
    OrderRows,
    OrdersRow,
    UnbookedRow,
    early_key,
    unbooked_key,
)

_Failed: TypeAlias = ExecutionLookUpFailed | ExecutionLookUpFailedAgain
_Event: TypeAlias = (
    OrdersSent
    | OrdersCancelled
    | ExecutionRecorded
    | ExecutionBooked
    | ExecutionBookingParked
    | _Failed
    | FailedExecutionRecorded
)
_Rows: TypeAlias = Rows[OrderRows]


def keys(recorded: Recorded) -> tuple[str, ...]:
    """Return the keys of rows that the event has to find; none for an execution that names none of our orders."""
    match cast(_Event, recorded.event):
        case OrdersSent() as event:
            portfolio_id = _portfolio_of(recorded)
            return (event.rebalance_id, *(_early_key(order, portfolio_id) for order in event.orders))
        case OrdersCancelled(rebalance_id=rebalance_id):
            return (rebalance_id,)
        case ExecutionRecorded(order_id=order_id):
            place = place_of(order_id)
            return () if place is None else (place[0],)
        case ExecutionLookUpFailed() | ExecutionLookUpFailedAgain() as event:
            place = place_of(event.report.order_id)
            own = (unbooked_key(_service_id(recorded)),)
            return own if place is None else (*own, place[0])
        case ExecutionBookingParked() | FailedExecutionRecorded():
            return (unbooked_key(_service_id(recorded)),)
        case ExecutionBooked():
            return ()


def apply(rows: _Rows, recorded: Recorded) -> None:
    """Take the event; raises ``Broken`` where orders are cancelled that were not sent."""
    match cast(_Event, recorded.event):
        case OrdersSent() as event:
            _sent(rows, event, recorded)
        case OrdersCancelled(timestamp=at) as event:
            row = _orders(rows, event.rebalance_id)
            if row is None or row.sent_at is None:
                raise Broken(f"orders of rebalance {event.rebalance_id} are cancelled that were not sent")
            rows[row.key] = replace(row, cancelled_at=at, version=recorded.version, position=recorded.position)
        case ExecutionRecorded() as event:
            if (place := place_of(event.order_id)) is not None:
                _filled(rows, place, _fill(event, recorded), recorded)
        case ExecutionBookingParked(reason=reason):
            key = unbooked_key(_service_id(recorded))
            waiting = rows[key]
            if isinstance(waiting, UnbookedRow):
                parked = replace(waiting, booking=Booking.PARKED, booking_reason=reason, position=recorded.position)
                rows[key] = parked
        case ExecutionBooked():
            rows[unbooked_key(_service_id(recorded))] = None
        case ExecutionLookUpFailed() | ExecutionLookUpFailedAgain() as event:
            _not_looked_up(rows, event, recorded)
        case FailedExecutionRecorded():
            key = unbooked_key(_service_id(recorded))
            if _waits_for_look_up(rows[key]):
                rows[key] = None


def _sent(rows: _Rows, event: OrdersSent, recorded: Recorded) -> None:
    """Take orders over with the fills that came before them; what fits none of them stays unmatched."""
    portfolio_id = _portfolio_of(recorded)
    known, *found = rows.all([event.rebalance_id, *(_early_key(order, portfolio_id) for order in event.orders)])
    early = [row if isinstance(row, EarlyRow) else None for row in found]
    lines = tuple(
        OrderLine(order, row.fills) if row is not None else OrderLine(order)
        for order, row in zip(event.orders, early, strict=True)
    )
    sent = OrdersRow(
        rebalance_id=event.rebalance_id,
        portfolio_id=portfolio_id,
        version=recorded.version,
        sent_at=event.timestamp,
        lines=lines,
        position=recorded.position,
    )
    if isinstance(known, OrdersRow):
        left = tuple(fill for fill in known.unmatched if _line_of(sent, fill) is None)
        counted = sum(line.fills.count for line in lines)
        sent = replace(sent, unmatched=left, unmatched_count=known.unmatched_count - counted)
    rows[sent.key] = sent
    for row in early:
        if row is not None:
            rows[row.key] = None


def _filled(rows: _Rows, place: tuple[str, int], fill: Fill, recorded: Recorded) -> None:
    """Count a fill for its order, or among those that fit none; it is to be booked, if anything was filled."""
    position = recorded.position
    row = _orders(rows, place[0]) or OrdersRow(rebalance_id=place[0], position=position)
    number = _line_of(row, fill)
    if number is not None:
        line = row.lines[number]
        counted = OrderLine(line.order, _and(line.fills, fill))
        rows[row.key] = replace(row, lines=(*row.lines[:number], counted, *row.lines[number + 1 :]), position=position)
    else:
        if row.sent_at is None:
            key = early_key(fill.order_id, fill.portfolio_id, fill.transaction_type, fill.security_id)
            early = rows[key]
            before = early.fills if isinstance(early, EarlyRow) else Fills()
            rows[key] = EarlyRow(key=key, fills=_and(before, fill), position=position)
        shown = row.unmatched if len(row.unmatched) >= SHOWN else (*row.unmatched, fill)
        rows[row.key] = replace(row, unmatched=shown, unmatched_count=row.unmatched_count + 1, position=position)
    if fill.quantity_filled:
        waiting = UnbookedRow(
            execution_id=position,
            service_id=_service_id(recorded),
            order_id=fill.order_id,
            portfolio_id=fill.portfolio_id,
            position=position,
        )
        rows[waiting.key] = waiting


def _not_looked_up(rows: _Rows, event: _Failed, recorded: Recorded) -> None:
    """Let what was filled wait, unless it was recorded after all: that stays as it is, whoever was slower."""
    key, report = unbooked_key(_service_id(recorded)), event.report
    place = place_of(report.order_id)
    orders = _orders(rows, place[0]) if place is not None else None
    known = rows[key]
    if known is not None and not _waits_for_look_up(known):
        return
    if orders is None or not orders.portfolio_id or not report.quantity_filled:
        rows[key] = None
        return
    rows[key] = UnbookedRow(
        execution_id=0,
        service_id=_service_id(recorded),
        order_id=report.order_id or "",
        portfolio_id=orders.portfolio_id,
        recorded=False,
        booking_reason=event.reason,
        position=recorded.position,
    )


def _waits_for_look_up(row: OrderRows | None) -> bool:
    return isinstance(row, UnbookedRow) and not row.recorded


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


def _and(fills: Fills, fill: Fill) -> Fills:
    """Return the fills with one more."""
    ids = fills.execution_ids
    return Fills(
        EXACT.add(fills.quantity, fill.quantity_filled),
        EXACT.add(fills.amount, EXACT.multiply(fill.quantity_filled, fill.average_price)),
        fills.count + 1,
        ids if len(ids) >= SHOWN else (*ids, fill.execution_id),
    )


def _line_of(row: OrdersRow, fill: Fill) -> int | None:
    """Return the place among the orders of the one that the fill counts for; None where it fits none."""
    place = place_of(fill.order_id)
    if place is None or place[1] > len(row.lines):
        return None
    order = row.lines[place[1] - 1].order
    wanted = (row.portfolio_id, order.transaction_type, order.security_id)
    return place[1] - 1 if wanted == (fill.portfolio_id, fill.transaction_type, fill.security_id) else None


def _orders(rows: _Rows, rebalance_id: str) -> OrdersRow | None:
    row = rows[rebalance_id]
    return row if isinstance(row, OrdersRow) else None


def _early_key(order: Order, portfolio_id: str) -> str:
    return early_key(order.order_id, portfolio_id, order.transaction_type, order.security_id)


def _portfolio_of(recorded: Recorded) -> str:
    return recorded.stream[len(Blotter.TOPIC) + 1 :]


def _service_id(recorded: Recorded) -> int:
    return int(recorded.stream.partition("/")[2])


ORDER_PROJECTOR = Projector(view=ORDERS, handles=frozenset(get_args(_Event)), keys=keys, apply=apply, kept=500)
