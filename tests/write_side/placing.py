"""A desk that rebalances one portfolio and sends the orders, over a log in memory and the real view."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.base import Aggregate, Event
from domain.portfolio import PositionUpdate, Status, TransactionType
from domain.rebalance import Rebalance
from projections.batch import BATCH_PROJECTOR
from projections.execution import EXECUTION_PROJECTOR
from projections.order import ORDER_PROJECTOR
from projections.rebalance import REBALANCE_PROJECTOR
from read_side.batch import Batches
from read_side.execution import Executions
from read_side.order import Orders
from read_side.rebalance import Rebalances
from tests.api.doubles import AtOnce
from tests.api.folded import FoldedViews
from tests.api.memory_log import MemoryLog
from tests.projections.ordering import executed
from tests.projections.quoting import recorded
from tests.write_side.desks import BOND, NOW, TECH, Desk
from tests.write_side.stores import by
from write_side.event_store import Done
from write_side.execution.booking import Bookings
from write_side.holdings import StoredHoldings
from write_side.log import Answer, Context
from write_side.order import CancelOrders, OrderDesk, SendOrders, Told
from write_side.portfolio import ChangeStatus, UpdatePortfolio
from write_side.rebalance import RebalancePortfolio


def render(told: Told) -> Answer:
    """An answer that says where the orders stand and how many they are."""
    return Answer(201 if told.new else 200, f"{told.status} {len(told.orders.orders)}".encode())


class Placing(Desk):
    """A desk that sends orders, over the real view; several on one log are several processes."""

    def __init__(self, log: MemoryLog | None = None) -> None:
        self.memory = log or MemoryLog()
        super().__init__(self.memory)
        projectors = (ORDER_PROJECTOR, REBALANCE_PROJECTOR, EXECUTION_PROJECTOR, BATCH_PROJECTOR)
        views, signals = FoldedViews(self.memory.events, projectors), AtOnce()
        self.views = views
        self.orders = OrderDesk(
            store=self.store,
            holdings=StoredHoldings(self.store),
            known=Orders(views, signals, Rebalances(views, signals)),
            head=self.memory.head,
            clock=lambda: NOW,
            booked=True,
        )

    async def start(self) -> str:
        """Open the portfolio under its model; return its first rebalance."""
        await self.open("ACC-1")
        await self.model("ACC-1")
        return await self.rebalance()

    async def rebalance(self) -> str:
        """Rebalance it: 303 of BOND at 99 and 399 of TECH at 150.5 are bought while it has nothing."""
        outcome = await RebalancePortfolio(portfolio_id="ACC-1").handle(self.runs, by())
        assert outcome.results is not None
        (made,) = outcome.results
        assert isinstance(made, Rebalance)
        return made.rebalance_id

    async def send(self, rebalance_id: str, context: Context | None = None) -> Done[Aggregate]:
        return await SendOrders(rebalance_id=rebalance_id).handle(self.orders, context or by(), render)

    async def cancel(self, rebalance_id: str, context: Context | None = None) -> Done[Aggregate]:
        return await CancelOrders(rebalance_id=rebalance_id).handle(self.orders, context or by(), render)

    async def fill(self, rebalance_id: str, bonds: str = "303", tech: str = "399", *, service_id: int = 1) -> None:
        """Let executions fill so much; the portfolio does not know of it."""
        fills = [
            executed(service_id, f"{rebalance_id}-1", bonds, "99", security_id=BOND),
            executed(service_id + 1, f"{rebalance_id}-2", tech, "150.5", security_id=TECH),
        ]
        await self.memory.append(fills, by())

    async def execute(self, *executions: Event) -> list[int]:
        """Record these executions; return their ids."""
        appended = await self.memory.append(list(executions), by())
        return [*range(appended.first, appended.position + 1)]

    async def book(self, *service_ids: int, now: datetime = NOW) -> None:
        """Book these executions, or park those that the portfolio does not take, as the worker does."""
        bookings = Bookings(
            known=Executions(self.views, AtOnce(), Batches(self.views, AtOnce())), head=self.memory.head
        )
        for service_id in service_ids:
            events = recorded(self.memory.events)
            [each] = [each for each in events if each.stream == f"execution/{service_id}" and each.version == 1]
            await bookings.after(each, self.store, by(), clock=lambda: now)

    async def update(self, kind: str, quantity: str, security_id: str = TECH) -> None:
        update = PositionUpdate(
            transaction_type=TransactionType(kind),
            quantity_change=Decimal(quantity),
            instrument_id=security_id,
            price=Decimal(1),
        )
        await UpdatePortfolio(portfolio_id="ACC-1", updates=(update,), timestamp=NOW).handle(self.store, by(), now=NOW)

    async def become(self, status: Status) -> None:
        await ChangeStatus(portfolio_id="ACC-1", status=status).handle(self.store, by(), now=NOW)

    def new(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.memory.events if isinstance(event, kinds)]


def told(done: Done[Any]) -> tuple[int, str]:
    assert done.answer is not None
    return done.answer.status, done.answer.body.decode()
