"""The commands on the orders of rebalances: send them to the desk, and cancel what is open of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, cast

import msgspec

from domain.base import Aggregate
from domain.errors import FoliologError, NotFound, Overloaded, Refused, RuleViolated
from domain.execution import Booking
from domain.order import (
    Blotter,
    Order,
    OrderSet,
    OrderStatus,
    must_be_booked,
    must_be_recorded,
    must_hold_as_before,
    must_take,
    orders_of,
)
from domain.portfolio import Portfolio
from domain.rebalance import Rebalance, RebalanceRun
from write_side.event_store import Done, EventStore
from write_side.log import ANY_VERSION, Answer, Context, answering
from write_side.ports import Holdings
from write_side.rebalance.choosing import ID

_ATTEMPTS: Final = 50


class Standing(Protocol):
    """Orders that were sent, and where they stand."""

    @property
    def orders(self) -> OrderSet: ...
    @property
    def status(self) -> OrderStatus: ...


class Unbooked(Protocol):
    """An execution that names an order and has filled something that is not booked, and why; perhaps not recorded."""

    @property
    def execution_id(self) -> int: ...
    @property
    def service_id(self) -> int: ...
    @property
    def recorded(self) -> bool: ...
    @property
    def order_id(self) -> str: ...
    @property
    def booking(self) -> Booking: ...
    @property
    def booking_reason(self) -> str | None: ...


class OrdersKnown(Protocol):
    """What commands ask of the view of orders; ``at_least`` is a log position it must include."""

    async def standing(self, rebalance_ids: Collection[str], at_least: int) -> Mapping[str, Standing]:
        """Return of these rebalances those whose orders were sent, and where they stand.

        Raises ``NotYet``, ``StoreUnavailable``.
        """

    async def unbooked(self, portfolio_id: str, at_least: int) -> Unbooked | None:
        """Return the first execution of this portfolio that names an order of ours and is not booked; None: all are.

        Raises ``NotYet``, ``StoreUnavailable``.
        """


class Told(msgspec.Struct, frozen=True):
    """What a command on orders has come to; ``new``: it has changed something."""

    portfolio_id: str
    orders: OrderSet
    status: OrderStatus
    new: bool


Render = Callable[[Told], Answer]


@dataclass(frozen=True, kw_only=True)
class OrderDesk:
    """What commands on orders need; ``head`` returns the position of the last event of the log.

    ``booked`` says whether executions book themselves into what ``holdings`` tells.
    """

    store: EventStore
    holdings: Holdings
    known: OrdersKnown
    head: Callable[[], Awaitable[int]]
    clock: Callable[[], datetime]
    booked: bool


class _MovedOn(Refused):
    """The blotter is not the one that the view was asked about: what was found has to be found again."""


class _Seen(msgspec.Struct, frozen=True):
    """A rebalance and the blotter of its portfolio at one moment, and where its orders and the last ones stand."""

    rebalance: Rebalance
    blotter: Blotter | None
    standing: Mapping[str, Standing]

    @property
    def portfolio_id(self) -> str:
        return self.rebalance.portfolio_id

    @property
    def own(self) -> Standing | None:
        """Where the orders of the rebalance stand; None where they were not sent."""
        return self.standing.get(self.rebalance.rebalance_id)

    @property
    def last_filled(self) -> bool:
        """Whether the orders sent last are completely filled."""
        last = self.blotter.last if self.blotter is not None else None
        standing = self.standing.get(last.rebalance_id) if last is not None else None
        return standing is not None and standing.status is OrderStatus.FILLED

    def still(self, found: Sequence[Aggregate | None]) -> Blotter | None:
        """Return the blotter that is to be changed; raises ``_MovedOn`` where it is another one than was seen."""
        blotter = cast("Blotter | None", found[0])
        if (blotter.version if blotter else 0) != (self.blotter.version if self.blotter else 0):
            raise _MovedOn(f"orders of portfolio {self.portfolio_id} have moved on")
        return blotter


@dataclass(frozen=True, kw_only=True)
class SendOrders:
    """Send what a rebalance trades to the desk, once: asked for again, the same orders are told, whatever came since.

    The portfolio has to take the trades, to have all fills of orders booked, to hold what the rebalance was made from,
    and to have no other orders open.
    """

    rebalance_id: str

    async def handle(self, desk: OrderDesk, context: Context, render: Render) -> Done[Aggregate]:
        """Return what is told as the answer; the aggregate is the blotter of the portfolio.

        Raises ``NotFound``, ``RuleViolated``, ``StaleVersion``, ``Unavailable`` and what ``EventStore.change_all``
        raises.
        """
        return await _decided(desk, self.rebalance_id, context, render, self._send)

    async def _send(self, desk: OrderDesk, seen: _Seen, context: Context, render: Render) -> Done[Aggregate]:
        now = desk.clock()
        own = seen.own
        if own is not None:
            told = Told(seen.portfolio_id, own.orders, own.status, new=False)
            return await _stored(desk, seen, lambda blotter: blotter, told, context, render)
        if seen.rebalance.deleted:
            raise _unknown(self.rebalance_id)
        if context.expected_version == ANY_VERSION:
            raise NotFound("nothing is here that If-Match: * could match")
        orders = await self._allowed(desk, seen)

        def send(blotter: Blotter | None) -> Blotter:
            changed = blotter or Blotter.begin(seen.portfolio_id, now)
            run_id = seen.rebalance.run_id
            changed.send(self.rebalance_id, run_id, orders, now, last_filled=seen.last_filled)
            return changed

        fresh = OrderSet(rebalance_id=self.rebalance_id, orders=orders, sent_at=now)
        told = Told(seen.portfolio_id, fresh, OrderStatus.OPEN, new=True)
        return await _stored(desk, seen, send, told, context, render)

    async def _allowed(self, desk: OrderDesk, seen: _Seen) -> tuple[Order, ...]:
        """Return the orders; raises ``RuleViolated`` where the portfolio does not take them or holds something else.

        The status of a portfolio that is not ours is not known here, and not asked about. Holdings are read last: what
        is found booked before is in them.
        """
        rebalance = seen.rebalance
        run = await desk.store.load(RebalanceRun, rebalance.run_id)
        if run is None:
            raise NotFound(f"run {rebalance.run_id} of rebalance {self.rebalance_id} does not exist")
        orders = orders_of(self.rebalance_id, run, rebalance)
        if not orders:
            return ()
        ours = await desk.store.load_many(Portfolio, [seen.portfolio_id])
        if (portfolio := ours.get(seen.portfolio_id)) is not None:
            must_take(seen.portfolio_id, portfolio.status, orders)
            waiting = await desk.known.unbooked(seen.portfolio_id, await desk.head()) if desk.booked else None
            if waiting is not None:
                must_be_recorded(waiting.service_id, waiting.order_id, waiting.recorded, waiting.booking_reason)
                must_be_booked(waiting.execution_id, waiting.order_id, waiting.booking, waiting.booking_reason)
        held = (await desk.holdings.of([seen.portfolio_id])).get(seen.portfolio_id)
        if isinstance(held, FoliologError):
            raise held
        if held is None:
            raise RuleViolated(f"portfolio {seen.portfolio_id} does not exist any more: what it holds is not known")
        must_hold_as_before(seen.portfolio_id, rebalance.held, held.quantities)
        return orders


@dataclass(frozen=True, kw_only=True)
class CancelOrders:
    """Let what is open of the orders of a rebalance be wanted no more; what is filled all the same still counts."""

    rebalance_id: str

    async def handle(self, desk: OrderDesk, context: Context, render: Render) -> Done[Aggregate]:
        """Return what is told as the answer; the aggregate is the blotter of the portfolio.

        Raises ``NotFound`` where none were sent, ``RuleViolated`` where none is open, ``StaleVersion``, ``Unavailable``
        and what ``EventStore.change_all`` raises.
        """
        return await _decided(desk, self.rebalance_id, context, render, self._cancel)

    async def _cancel(self, desk: OrderDesk, seen: _Seen, context: Context, render: Render) -> Done[Aggregate]:
        now = desk.clock()
        own = seen.own
        if own is None:
            raise NotFound(f"orders of rebalance {self.rebalance_id!r} were not sent")

        def cancel(blotter: Blotter | None) -> Blotter | None:
            if blotter is not None:
                blotter.cancel(self.rebalance_id, now, status=own.status)
            return blotter

        orders = msgspec.structs.replace(own.orders, cancelled_at=now)
        told = Told(seen.portfolio_id, orders, OrderStatus.CANCELLED, new=True)
        return await _stored(desk, seen, cancel, told, context, render)


async def _decided(
    desk: OrderDesk,
    rebalance_id: str,
    context: Context,
    render: Render,
    decide: Callable[[OrderDesk, _Seen, Context, Render], Awaitable[Done[Aggregate]]],
) -> Done[Aggregate]:
    """Decide on what is there now, and once more whenever the blotter has moved on meanwhile."""
    if replay := await desk.store.replay(context):
        return replay
    for _ in range(_ATTEMPTS):
        try:
            return await decide(desk, await _seen(desk, rebalance_id), context, render)
        except _MovedOn:
            continue
    raise Overloaded(f"orders of rebalance {rebalance_id} were decided on {_ATTEMPTS} times while others were sent")


async def _seen(desk: OrderDesk, rebalance_id: str) -> _Seen:
    """Return what the log has, and what the view says of it once it includes the log's head; raises ``NotFound``."""
    rebalance = await desk.store.load(Rebalance, rebalance_id) if ID.match(rebalance_id) else None
    if rebalance is None:
        raise _unknown(rebalance_id)
    blotter = await desk.store.load(Blotter, rebalance.portfolio_id)
    if blotter is None:
        return _Seen(rebalance, None, {})
    asked = {rebalance_id} | ({blotter.last.rebalance_id} if blotter.last is not None else set())
    return _Seen(rebalance, blotter, await desk.known.standing(asked, await desk.head()))


async def _stored(
    desk: OrderDesk,
    seen: _Seen,
    change: Callable[[Blotter | None], Blotter | None],
    told: Told,
    context: Context,
    render: Render,
) -> Done[Aggregate]:
    """Change the blotter that was seen and no other; the answer, also under an idempotency key, is what is told."""
    answer = render(told)

    def decide(found: Sequence[Aggregate | None]) -> Sequence[Aggregate]:
        changed = change(seen.still(found))
        if changed is None:
            raise _MovedOn(f"orders of portfolio {seen.portfolio_id} are not there")
        return [changed]

    done = await desk.store.change_all([(Blotter, seen.portfolio_id)], decide, answering(context, answer))
    return done if done.replayed else msgspec.structs.replace(done, answer=answer)


def _unknown(rebalance_id: str) -> NotFound:
    return NotFound(f"rebalance {rebalance_id[:100]!a} does not exist")
