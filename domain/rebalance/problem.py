"""The rebalancing problem of seed 002 as it is stated: one line for each security, cash, and options.

Find quantities ``q`` that minimise ``sum |MV*target/100 - q*price|`` such that each ``q*price`` lies in its band
``[MV*(target-low_drift)/100, MV*(target+high_drift)/100]`` and they cost no more than ``MV`` less the cash to keep,
where ``MV = cash + sum(held*price)``. ``docs/optimiser.md`` says what each option adds.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from hashlib import sha256

import msgspec

from domain.rebalance.options import Options
from domain.values import EXACT, ONE, ZERO, plain

_HUNDRED = Decimal(100)
_encode = msgspec.json.Encoder(order="deterministic", enc_hook=None).encode


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One security: its price, what is held (0 or more, maybe a fraction), target and drifts in percent.

    What is held and not in the model has target and drifts 0.
    """

    security_id: str
    price: Decimal
    held: Decimal
    target: Decimal = ZERO
    low_drift: Decimal = ZERO
    high_drift: Decimal = ZERO


class Problem(msgspec.Struct, frozen=True, dict=True):
    """One portfolio to rebalance: cash (maybe negative), a line for every security held or modelled, by id; options."""

    cash: Decimal
    lines: tuple[Line, ...]
    options: Options = Options()

    @cached_property
    def market_value(self) -> Decimal:
        """Cash and all that is held, at these prices, exactly."""
        value, add, multiply = self.cash, EXACT.add, EXACT.multiply
        for line in self.lines:
            value = add(value, multiply(line.held, line.price))
        return value

    @cached_property
    def cash_to_keep(self) -> Decimal:
        """What has to stay in cash, exactly; of a portfolio that is worth nothing, nothing (contract "002", MV = 0)."""
        options = self.options
        if not self.market_value:
            return ZERO
        part = EXACT.divide(EXACT.multiply(self.market_value, options.min_cash_percent), _HUNDRED)
        return EXACT.add(options.min_cash, part)

    @cached_property
    def spendable(self) -> Decimal:
        """What the holdings may cost at most, exactly."""
        return EXACT.subtract(self.market_value, self.cash_to_keep)

    def band(self, line: Line) -> tuple[Decimal, Decimal]:
        """Return the least and the greatest value the line may have, exactly; both are allowed."""
        value, multiply = self.market_value, EXACT.multiply
        low = EXACT.divide(multiply(value, EXACT.subtract(line.target, line.low_drift)), _HUNDRED)
        high = EXACT.divide(multiply(value, EXACT.add(line.target, line.high_drift)), _HUNDRED)
        return low, high

    def lot(self, security_id: str) -> Decimal:
        """Return the quantity of which a position is a whole multiple."""
        return self.options.lot_size.get(security_id, ONE)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the problem in lower-case hex; the same however its figures were written."""
        lines = [
            [line.security_id, *map(plain, (line.price, line.held, line.target, line.low_drift, line.high_drift))]
            for line in self.lines
        ]
        options = self.options
        told = {
            "mode": options.mode,
            "min_cash": plain(options.min_cash),
            "min_cash_percent": plain(options.min_cash_percent),
            "buy_only": options.buy_only,
            "sell_only": options.sell_only,
            "do_not_trade": sorted(options.do_not_trade),
            "min_trade": plain(options.min_trade),
            "lot_size": {security_id: plain(lot) for security_id, lot in options.lot_size.items()},
            "on_infeasible": options.on_infeasible,
        }
        return sha256(_encode([plain(self.cash), lines, told])).hexdigest()
