"""The portfolio as an aggregate: what each update does to cash and positions, and when it is refused (seed 004)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Self, assert_never

from domain.errors import Fault, Invalid, RuleViolated
from domain.portfolio.allocations import Allocated
from domain.portfolio.events import (
    AllocationSet,
    CashDeposited,
    CashWithdrawn,
    DividendReceived,
    FeeCharged,
    Holding,
    PortfolioEvent,
    PortfolioOpened,
    RebalanceBooked,
    RebalanceRequested,
    SharesBought,
    SharesCovered,
    SharesMovedIn,
    SharesMovedOut,
    SharesSold,
    SharesSoldShort,
    StatusChanged,
)
from domain.portfolio.rules import (
    TRADES,
    PositionUpdate,
    Status,
    TransactionType,
    wrong_id,
    wrong_name,
    wrong_opening_cash,
    wrong_time,
)
from domain.values import EXACT, ZERO, eighth_place, plain, quotient

_NEVER = datetime.min.replace(tzinfo=UTC)
_NOTHING = Holding(ZERO, ZERO, _NEVER)


class Portfolio(Allocated):
    """One portfolio; its natural key is the ``portfolio_id``."""

    TOPIC = "portfolio"
    STATE_VERSION = 2

    portfolio_name: str = ""
    cash: Decimal = ZERO
    cash_updated: datetime = _NEVER
    """Business time of the last event that changed the cash."""
    positions: dict[str, Holding] = field(default_factory=dict)
    """What is held, by instrument; a position that reaches 0 is not there."""
    last_updated: datetime = _NEVER
    """Business time of the last event of its own that changed a figure shown."""

    @classmethod
    def open(cls, portfolio_id: str, portfolio_name: str, cash: Decimal, at: datetime) -> Self:
        """Return a new portfolio with its opening cash; raises ``Invalid`` naming every fault."""
        checked = {
            "/portfolio_id": wrong_id(portfolio_id),
            "/portfolio_name": wrong_name(portfolio_name),
            "/cash_balance": wrong_opening_cash(cash),
        }
        found = [Fault(pointer, wrong) for pointer, wrong in checked.items() if wrong]
        if found:
            raise Invalid(*found)
        return cls._create(
            PortfolioOpened, id=cls.stream(portfolio_id), timestamp=at, portfolio_name=portfolio_name.strip(), cash=cash
        )

    @property
    def portfolio_id(self) -> str:
        """The natural key."""
        return self.key

    def change_status(self, status: Status, at: datetime) -> None:
        """Take another status; the same one again changes nothing. Raises ``RuleViolated``.

        ACTIVE, SUSPENDED and LIQUIDATING go to each other; to CLOSED only without positions and with no cash at all.
        """
        if status is self.status:
            return
        if self.status is Status.CLOSED:
            raise RuleViolated(f"portfolio {self.portfolio_id} is CLOSED, which is for ever: it cannot become {status}")
        if status is Status.CLOSED and (self.positions or self.cash):
            held = f"{len(self.positions)} positions and {plain(self.cash)} of cash"
            raise RuleViolated(f"portfolio {self.portfolio_id} has {held}: it can be closed only with neither")
        self.trigger_event(StatusChanged, timestamp=at, status=status)

    def update(self, updates: Sequence[PositionUpdate], timestamp: datetime, *, now: datetime) -> None:
        """Apply the updates in order. All or none of them count: decide on a copy, and drop it where this raises.

        ``timestamp`` is their business time, at most five minutes ahead of ``now``. Raises ``Invalid`` naming every
        fault of every update, and ``RuleViolated`` for the first that the portfolio refuses.
        """
        found = [fault for index, update in enumerate(updates) for fault in update.faults(f"/updates/{index}")]
        if wrong := wrong_time(timestamp, now):
            found.append(Fault("/timestamp", wrong))
        if found:
            raise Invalid(*found)
        for index, update in enumerate(updates):
            try:
                self._apply(update, timestamp)
            except RuleViolated as refusal:
                raise RuleViolated(f"update {index}: {refusal}") from None

    def _apply(self, update: PositionUpdate, at: datetime) -> None:
        kind, quantity = update.transaction_type, update.quantity_change
        self._check_status(kind, quantity)
        instrument_id, price = update.instrument_id or "", update.price or ZERO
        match kind:
            case TransactionType.DEP:
                self.trigger_event(CashDeposited, timestamp=at, amount=quantity, cash=EXACT.add(self.cash, quantity))
            case TransactionType.WD:
                cash = EXACT.subtract(self.cash, quantity)
                self.trigger_event(CashWithdrawn, timestamp=at, amount=quantity, cash=cash)
            case TransactionType.FEE:
                cash = EXACT.subtract(self.cash, quantity)
                self.trigger_event(FeeCharged, timestamp=at, amount=quantity, cash=cash)
            case TransactionType.DIVIDEND:
                paid = EXACT.multiply(quantity, price)
                fields = {"instrument_id": instrument_id, "quantity": quantity, "price": price, "amount": paid}
                self.trigger_event(DividendReceived, timestamp=at, **fields, cash=EXACT.add(self.cash, paid))
            case TransactionType.BUY | TransactionType.IN:
                self._increase(kind, instrument_id, quantity, price, at)
            case TransactionType.SHORT:
                self._short(instrument_id, quantity, price, at)
            case TransactionType.SELL | TransactionType.OUT | TransactionType.COVER:
                self._reduce(kind, instrument_id, quantity, price, at)
            case _:
                assert_never(kind)

    def _check_status(self, kind: TransactionType, quantity: Decimal) -> None:
        """Raise ``RuleViolated`` where the status does not take updates of this kind."""
        refused = f"portfolio {self.portfolio_id} is {self.status}: it does not take {kind}"
        match self.status:
            case Status.ACTIVE:
                return
            case Status.SUSPENDED:
                if kind in TRADES:
                    raise RuleViolated(refused)
            case Status.LIQUIDATING:
                if kind in (TransactionType.BUY, TransactionType.SHORT, TransactionType.IN):
                    raise RuleViolated(refused)
                overdraft = max(self.cash.copy_negate(), ZERO)
                if kind is TransactionType.DEP and quantity > overdraft:
                    raise RuleViolated(f"{refused} of {plain(quantity)}, its overdraft is {plain(overdraft)}")
            case Status.CLOSED:
                raise RuleViolated(refused)
            case _:
                assert_never(self.status)

    def _increase(
        self, kind: TransactionType, instrument_id: str, quantity: Decimal, price: Decimal, at: datetime
    ) -> None:
        """BUY pays for the shares, IN takes them at that cost without cash."""
        before = self.positions.get(instrument_id, _NOTHING)
        if before.quantity < 0:
            raise RuleViolated(
                f"{kind} of {instrument_id}: {plain(before.quantity.copy_negate())} are short, and a position does not "
                "change sides in one step: COVER them first"
            )
        amount = EXACT.multiply(quantity, price)
        fields = {
            "instrument_id": instrument_id,
            "quantity": quantity,
            "price": price,
            "amount": amount,
            "held": EXACT.add(before.quantity, quantity),
            "cost": EXACT.add(before.cost, amount),
        }
        if kind is TransactionType.BUY:
            self.trigger_event(SharesBought, timestamp=at, **fields, cash=EXACT.subtract(self.cash, amount))
        else:
            self.trigger_event(SharesMovedIn, timestamp=at, **fields)

    def _short(self, instrument_id: str, quantity: Decimal, price: Decimal, at: datetime) -> None:
        before = self.positions.get(instrument_id, _NOTHING)
        if before.quantity > 0:
            raise RuleViolated(
                f"SHORT of {instrument_id}: {plain(before.quantity)} are held, and a position does not change sides in "
                "one step: SELL them first"
            )
        amount = EXACT.multiply(quantity, price)
        self.trigger_event(
            SharesSoldShort,
            timestamp=at,
            instrument_id=instrument_id,
            quantity=quantity,
            price=price,
            amount=amount,
            held=EXACT.subtract(before.quantity, quantity),
            cost=EXACT.subtract(before.cost, amount),
            cash=EXACT.add(self.cash, amount),
        )

    def _reduce(
        self, kind: TransactionType, instrument_id: str, quantity: Decimal, price: Decimal, at: datetime
    ) -> None:
        """SELL and OUT take from a long position, COVER from a short one; each at its average cost."""
        before = self.positions.get(instrument_id, _NOTHING)
        covers = kind is TransactionType.COVER
        there = max(before.quantity.copy_negate() if covers else before.quantity, ZERO)
        if quantity > there:
            is_there = "short" if covers else "held"
            raise RuleViolated(f"{kind} of {plain(quantity)} {instrument_id}: only {plain(there)} are {is_there}")
        part, rest = _split(before.cost, quantity, there)
        fields = {
            "instrument_id": instrument_id,
            "quantity": quantity,
            "held": EXACT.add(before.quantity, quantity) if covers else EXACT.subtract(before.quantity, quantity),
            "cost": rest,
        }
        if kind is TransactionType.OUT:
            average = eighth_place(quotient(part, quantity))
            self.trigger_event(SharesMovedOut, timestamp=at, **fields, price=average, amount=part)
            return
        amount = EXACT.multiply(quantity, price)
        moved = amount.copy_negate() if covers else amount
        self.trigger_event(
            SharesCovered if covers else SharesSold,
            timestamp=at,
            **fields,
            price=price,
            amount=amount,
            cash=EXACT.add(self.cash, moved),
            realized=EXACT.subtract(moved, part),
        )

    def evolve(self, event: PortfolioEvent) -> None:
        match event:
            case PortfolioOpened(portfolio_name=portfolio_name, cash=cash, timestamp=at):
                self.portfolio_name, self.positions = portfolio_name, {}
                self.cash, self.cash_updated = cash, at
            case StatusChanged(status=status):
                self.status = status
                return
            case AllocationSet() | RebalanceRequested() | RebalanceBooked():
                self.evolve_allocation(event)
                return
            case (
                CashDeposited(cash=cash, timestamp=at)
                | CashWithdrawn(cash=cash, timestamp=at)
                | FeeCharged(cash=cash, timestamp=at)
                | DividendReceived(cash=cash, timestamp=at)
            ):
                self.cash, self.cash_updated = cash, at
            case (
                SharesBought(cash=cash, timestamp=at)
                | SharesSold(cash=cash, timestamp=at)
                | SharesSoldShort(cash=cash, timestamp=at)
                | SharesCovered(cash=cash, timestamp=at)
            ):
                self.cash, self.cash_updated = cash, at
                self._hold(event.instrument_id, event.held, event.cost, at)
            case SharesMovedIn(timestamp=at) | SharesMovedOut(timestamp=at):
                self._hold(event.instrument_id, event.held, event.cost, at)
            case _:
                assert_never(event)
        self.last_updated = at

    def _hold(self, instrument_id: str, held: Decimal, cost: Decimal, at: datetime) -> None:
        if held:
            self.positions[instrument_id] = Holding(held, cost, at)
        else:
            del self.positions[instrument_id]


def _split(cost: Decimal, quantity: Decimal, there: Decimal) -> tuple[Decimal, Decimal]:
    """Return the average cost of ``quantity`` shares out of ``there``, and that of the others; exactly all together.

    The smaller one is divided and the other is the rest, so that both keep their digits.
    """
    left = EXACT.subtract(there, quantity)
    smaller = quotient(EXACT.multiply(cost, min(quantity, left)), there)
    rest = EXACT.subtract(cost, smaller)
    return (smaller, rest) if quantity <= left else (rest, smaller)
