"""What a rebalance may be told beside its model: mode, cash to keep, locks, smallest trades and lots.

The defaults are the behaviour of seed 002.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.errors import Fault
from domain.portfolio.rules import wrong_instrument_id
from domain.values import ZERO, outside_bounds, plain

MAX_NAMED = 1_000
"""So many securities an option may name."""


class Mode(StrEnum):
    """How far a rebalance trades."""

    TO_TARGET = "to_target"
    """Every security as near to its target as whole shares allow (seed 002)."""
    BREACHED_ONLY = "breached_only"
    """What is inside its band is not traded; the others go to their targets."""
    TO_BAND = "to_band"
    """As little is traded as brings everything into its band."""


class OnInfeasible(StrEnum):
    """What is answered where no quantities fit."""

    ERROR = "error"
    NEAREST = "nearest"
    """The quantities that leave the bands by the least value in total; cash and all options hold."""


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The options of a rebalance; each is exact and checked.

    ``min_cash`` (an amount) or ``min_cash_percent`` (of the market value) stays in cash. ``buy_only`` and
    ``sell_only`` keep every security from being sold or bought, ``do_not_trade`` those it names from either; bands
    still bind. A trade of less than ``min_trade`` (its value) is not made, unless it brings a security back into its
    band. ``lot_size`` says for a security of which quantity its position is a whole multiple, where that is not one
    share.
    """

    mode: Mode = Mode.TO_TARGET
    min_cash: Decimal = ZERO
    min_cash_percent: Decimal = ZERO
    buy_only: bool = False
    sell_only: bool = False
    do_not_trade: tuple[str, ...] = ()
    min_trade: Decimal = ZERO
    lot_size: dict[str, Decimal] = msgspec.field(default_factory=dict)
    on_infeasible: OnInfeasible = OnInfeasible.ERROR


def wrong_amount(amount: Decimal) -> str | None:
    """Return what is wrong with an amount of money that an option names, or None."""
    return f"{plain(amount)} is negative, give 0 or more" if amount < 0 else outside_bounds(amount)


def wrong_cash_percent(percent: Decimal) -> str | None:
    """Return what is wrong with the part of the market value that stays in cash, or None."""
    if not 0 <= percent <= 100:
        return f"{plain(percent)} is not a percentage from 0 to 100"
    return outside_bounds(percent)


def wrong_lot(lot: Decimal) -> str | None:
    """Return what is wrong with a lot size, or None."""
    return f"{plain(lot)} is not positive" if lot <= 0 else outside_bounds(lot)


def wrong_options(options: Options) -> list[Fault]:
    """Return every fault of the options and every contradiction between them, as pointers into the body."""
    checked = {
        "/min_cash": wrong_amount(options.min_cash),
        "/min_cash/percent": wrong_cash_percent(options.min_cash_percent),
        "/min_trade": wrong_amount(options.min_trade),
    }
    faults = [Fault(pointer, wrong) for pointer, wrong in checked.items() if wrong]
    for index, security_id in enumerate(options.do_not_trade):
        if wrong := wrong_instrument_id(security_id):
            faults.append(Fault(f"/do_not_trade/{index}", wrong))
    for security_id, lot in options.lot_size.items():
        if wrong := wrong_instrument_id(security_id) or wrong_lot(lot):
            faults.append(Fault(f"/lot_size/{security_id.replace('~', '~0').replace('/', '~1')}", wrong))
    for pointer, count in {"/do_not_trade": len(options.do_not_trade), "/lot_size": len(options.lot_size)}.items():
        if count > MAX_NAMED:
            faults.append(Fault(pointer, f"names {count} securities, at most {MAX_NAMED} are taken"))
    return faults + _contradictions(options)


def _contradictions(options: Options) -> list[Fault]:
    """Return what cannot be asked together, each fault at the option that gives way most easily."""
    faults = []
    if options.buy_only and options.sell_only:
        faults.append(
            Fault("/sell_only", "contradicts buy_only: together nothing may be traded; leave one of them out")
        )
    if options.min_cash and options.min_cash_percent:
        faults.append(Fault("/min_cash", "is given as an amount and as a percentage: give one of them"))
    faults.extend(
        Fault(
            f"/lot_size/{security_id}",
            f"contradicts do_not_trade, which names {security_id} too: what is not traded has no lots",
        )
        for security_id in options.do_not_trade
        if security_id in options.lot_size
    )
    for index, security_id in enumerate(options.do_not_trade):
        if security_id in options.do_not_trade[:index]:
            faults.append(Fault(f"/do_not_trade/{index}", f"{security_id} is named twice"))
    return faults
