"""A plain model of a portfolio's accounts in fractions, written from the contract: nothing in it is ever rounded."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from domain.portfolio import PositionUpdate

CASH_KINDS = ("DEP", "WD", "FEE")
TRADES = ("BUY", "SELL", "SHORT", "COVER")
LIQUIDATION = ("SELL", "COVER", "WD", "OUT", "FEE", "DIVIDEND")
INSTRUMENT = re.compile(r"[A-Za-z0-9_.:-]{1,24}", re.ASCII)


class Verdict(Enum):
    """What becomes of an update."""

    TAKEN = "taken"
    INVALID = "invalid"
    REFUSED = "refused"


def fits(number: Decimal, places: int) -> bool:
    """Whether the number has at most so many decimal places and 15 digits before the point."""
    exact = Fraction(number)
    return abs(exact) < 10**15 and (exact * 10**places).denominator == 1


@dataclass
class Account:
    """One instrument: how much is held and at which cost, and what its sales and covers have brought."""

    quantity: Fraction = Fraction()
    cost: Fraction = Fraction()
    realized: Fraction = Fraction()


@dataclass
class PlainPortfolio:
    """Cash, status and accounts; an account that is empty stays with its realised profit."""

    cash: Fraction = Fraction()
    status: str = "ACTIVE"
    accounts: dict[str, Account] = field(default_factory=dict)

    def copy(self) -> PlainPortfolio:
        return deepcopy(self)

    def account(self, instrument_id: str | None) -> Account:
        return self.accounts.get(instrument_id or "", Account())

    def apply(self, update: PositionUpdate) -> Verdict:
        """Do what the contract says of the update; nothing happens where it does not fit or is refused."""
        if not self._fits(update):
            return Verdict.INVALID
        if self._refuses(update):
            return Verdict.REFUSED
        self._book(update)
        return Verdict.TAKEN

    def become(self, status: str) -> Verdict:
        """Take a status, unless CLOSED forbids it."""
        if status == self.status:
            return Verdict.TAKEN
        flat = self.cash == 0 and all(account.quantity == 0 for account in self.accounts.values())
        if self.status == "CLOSED" or (status == "CLOSED" and not flat):
            return Verdict.REFUSED
        self.status = status
        return Verdict.TAKEN

    def _fits(self, update: PositionUpdate) -> bool:
        kind, instrument_id, price = update.transaction_type, update.instrument_id, update.price
        if update.quantity_change <= 0 or not fits(update.quantity_change, 16 if kind in ("DEP", "WD") else 8):
            return False
        if kind in CASH_KINDS:
            return instrument_id in (None, "CASH") and price in (None, 1)
        if instrument_id in (None, "CASH", ".", "..") or not INSTRUMENT.fullmatch(instrument_id or ""):
            return False
        if price is None:
            return kind == "OUT"
        least_is_excluded = kind not in ("IN", "OUT")
        return fits(price, 8) and price >= 0 and not (least_is_excluded and price == 0)

    def _refuses(self, update: PositionUpdate) -> bool:
        kind, size = update.transaction_type, Fraction(update.quantity_change)
        held = self.account(update.instrument_id).quantity
        if self.status == "CLOSED" or (self.status == "SUSPENDED" and kind in TRADES):
            return True
        if self.status == "LIQUIDATING" and kind not in LIQUIDATION and not (kind == "DEP" and size <= -self.cash):
            return True
        if kind in ("BUY", "IN"):
            return held < 0
        if kind == "SHORT":
            return held > 0
        if kind == "COVER":
            return size > -held
        return kind in ("SELL", "OUT") and size > held

    def _book(self, update: PositionUpdate) -> None:
        kind, size, price = update.transaction_type, Fraction(update.quantity_change), Fraction(update.price or 0)
        if kind in CASH_KINDS:
            self.cash += size if kind == "DEP" else -size
            return
        amount = size * price
        if kind == "DIVIDEND":
            self.cash += amount
            return
        account = self.accounts.setdefault(update.instrument_id or "", Account())
        direction = 1 if kind in ("BUY", "COVER", "IN") else -1
        if kind in TRADES:
            self.cash -= direction * amount
        if kind in ("BUY", "SHORT", "IN"):
            account.cost += direction * amount
        else:
            part = account.cost * size / abs(account.quantity)
            account.cost -= part
            if kind != "OUT":
                account.realized += -direction * amount - part
        account.quantity += direction * size
