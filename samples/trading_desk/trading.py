"""How the desk fills orders: in parts, at prices that have moved, all by exact decimals and the same for a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from domain.values import EXACT, ONE, ZERO, eighth_place, plain
from samples.demo.market import Chance

_STEPS = 1000
"""A price moves by so many thousandths of the slippage at most, up or down."""


class Order(NamedTuple):
    """An order as the application tells it; ``quantity`` is what is still open of it."""

    order_id: str
    side: str
    security_id: str
    quantity: Decimal
    price: Decimal


class Fill(NamedTuple):
    """A part of an order that was traded, under its ``executionServiceId``."""

    service_id: int
    order: Order
    quantity: Decimal
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """Quantity times price, exactly."""
        return Decimal(plain(EXACT.multiply(self.quantity, self.price)))


@dataclass(frozen=True, kw_only=True)
class Trading:
    """How orders are traded. Raises ``ValueError`` for what cannot be.

    Each is filled in so many ``parts`` (fewer where it has not as many shares), all of whole shares but the last, which
    takes the exact rest. Each price is that of the order moved by up to ``slippage`` (0.01: one percent) either way,
    rounded half-even to 8 places. ``leave`` so many orders unfilled. The ``seed`` decides which, how and by how much.
    """

    parts: int = 1
    slippage: Decimal = ZERO
    leave: int = 0
    seed: str = "desk"
    destination: str = "DESK"

    def __post_init__(self) -> None:
        if self.parts < 1:
            raise ValueError(f"parts is {self.parts}, an order is filled in at least 1")
        if not ZERO <= self.slippage < ONE:
            raise ValueError(f"slippage is {self.slippage}, give a share from 0 to less than 1, for example 0.01")
        if self.leave < 0:
            raise ValueError(f"leave is {self.leave}, give how many orders are left, 0 or more")

    def trade(self, orders: Sequence[Order], first_id: int) -> tuple[list[Fill], list[Order]]:
        """Return the fills, numbered from ``first_id`` on, and the orders that are left, both in the given order."""
        shuffled = Chance("desk", self.seed).shuffled(orders)
        left = {order.order_id for order in shuffled[: self.leave]}
        fills: list[Fill] = []
        for order in orders:
            if order.order_id not in left:
                fills += self._filled(order, first_id + len(fills))
        return fills, [order for order in orders if order.order_id in left]

    def _filled(self, order: Order, first_id: int) -> list[Fill]:
        chance = Chance("desk", self.seed, order.order_id)
        quantities = split(order.quantity, self.parts, chance)
        return [
            Fill(first_id + number, order, quantity, self._moved(order.price, chance))
            for number, quantity in enumerate(quantities)
        ]

    def _moved(self, price: Decimal, chance: Chance) -> Decimal:
        steps = Decimal(chance.whole(-_STEPS, _STEPS))
        move = EXACT.scaleb(EXACT.multiply(self.slippage, steps), -3)
        moved = eighth_place(EXACT.multiply(price, EXACT.add(ONE, move)))
        return Decimal(plain(moved or price))


def split(quantity: Decimal, parts: int, chance: Chance) -> list[Decimal]:
    """Return a quantity above 0 in at most so many parts that make it up exactly, whole shares but for the last."""
    result: list[Decimal] = []
    rest = quantity
    for wanted in range(parts, 1, -1):
        share = int(rest.to_integral_value(ROUND_CEILING)) // wanted
        if share:
            part = Decimal(chance.whole(max(1, share // 2), share))
            result.append(part)
            rest = EXACT.subtract(rest, part)
    return [*result, Decimal(plain(rest))]
