"""What a reported execution may be: the checks of seed 001, on figures rounded as its columns round them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from domain.errors import Fault
from domain.execution.events import Report, TradeType
from domain.portfolio import wrong_id
from domain.values import ZERO, eighth_place, integer_digits, plain

MAX_SERVICE_ID: Final = 2**53 - 1
"""The greatest integer that every JSON reader keeps (RFC 7493)."""
MAX_DIGITS: Final = 10
"""Digits before the point, as ``decimal(18,8)`` of the seed has them."""
MAX_NAME: Final = 20
MAX_ORDER_ID: Final = 100
FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)

_SECURITY_ID = re.compile(r"[A-Za-z0-9]{24}\Z")
_ORDER_ID = re.compile(r"[!-~]{1,100}\Z")
_SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One execution as a client reports it; None is what it has not said. Figures may have any number of places."""

    execution_service_id: int | None = None
    is_open: bool = False
    execution_status: str | None = None
    trade_type: str | None = None
    destination: str | None = None
    security_id: str | None = None
    ticker: str | None = None
    portfolio_id: str | None = None
    order_id: str | None = None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    received: datetime | None = None
    sent: datetime | None = None
    last_fill: datetime | None = None
    quantity_filled: Decimal | None = None
    total_amount: Decimal | None = None
    average_price: Decimal | None = None

    def faults(self) -> list[Fault]:
        """Return everything wrong with it, by the seed's names of its members."""
        checked = {
            "executionServiceId": _wrong_service_id(self.execution_service_id),
            "executionStatus": _wrong_name(self.execution_status),
            "tradeType": _wrong_trade_type(self.trade_type),
            "destination": _wrong_name(self.destination),
            "securityId": _wrong_security_id(self.security_id),
            "ticker": _wrong_name(self.ticker),
            "portfolioId": None if self.portfolio_id is None else wrong_id(self.portfolio_id),
            "orderId": None if self.order_id is None else wrong_order_id(self.order_id),
            "quantity": _wrong_figure(self.quantity, _positive, required=True),
            "limitPrice": _wrong_figure(self.limit_price, _any),
            "receivedTimestamp": _wrong_time(self.received, required=True),
            "sentTimestamp": _wrong_time(self.sent, required=True),
            "lastFillTimestamp": _wrong_time(self.last_fill),
            "quantityFilled": _wrong_figure(self.quantity_filled, _not_negative),
            "totalAmount": _wrong_figure(self.total_amount, _not_negative),
            "averagePrice": _wrong_figure(self.average_price, _positive, required=True),
        }
        return [Fault(f"/{member}", wrong) for member, wrong in checked.items() if wrong]

    def report(self) -> Report:
        """Return it as it is stored, figures rounded half-even to 8 places; only for one without faults."""
        received, sent = self.received, self.sent
        if received is None or sent is None:
            raise ValueError("an execution without its times has faults")
        return Report(
            execution_status=self.execution_status or "",
            trade_type=TradeType(self.trade_type or ""),
            destination=self.destination or "",
            security_id=self.security_id or "",
            ticker=self.ticker or "",
            quantity=_stored(self.quantity or ZERO),
            limit_price=None if self.limit_price is None else _stored(self.limit_price),
            received=received,
            sent=sent,
            last_fill=self.last_fill,
            quantity_filled=_stored(self.quantity_filled or ZERO),
            total_amount=_stored(self.total_amount or ZERO),
            average_price=_stored(self.average_price or ZERO),
            order_id=self.order_id,
        )


def _stored(figure: Decimal) -> Decimal:
    """Return the figure with 8 places at most and without trailing zeros, so that equal ones are stored alike."""
    return Decimal(plain(eighth_place(figure)))


def _wrong_service_id(number: int | None) -> str | None:
    if not number:
        return "is required"
    return None if 0 < number <= MAX_SERVICE_ID else f"{number} is not an integer from 1 to {MAX_SERVICE_ID}"


def _wrong_name(text: str | None) -> str | None:
    if not text or not text.strip():
        return "is required"
    if len(text) > MAX_NAME:
        return f"{text[:_SHOWN]!a} has {len(text)} characters, at most {MAX_NAME} are taken"
    return None if text.isprintable() else f"{text[:_SHOWN]!a} has characters that cannot be printed"


def _wrong_trade_type(text: str | None) -> str | None:
    if not text:
        return "is required"
    return None if text in TradeType.__members__ else f"{text[:_SHOWN]!a} is not BUY or SELL"


def _wrong_security_id(text: str | None) -> str | None:
    if not text:
        return "is required"
    return None if _SECURITY_ID.match(text) else f"{text[:_SHOWN]!a} is not 24 of A-Z a-z 0-9"


def wrong_order_id(text: str) -> str | None:
    """Return what is wrong with the id of an order, or None."""
    if _ORDER_ID.match(text):
        return None
    return f"{text[:_SHOWN]!a} is not 1 to {MAX_ORDER_ID} characters of printable ASCII without spaces"


def _wrong_time(moment: datetime | None, *, required: bool = False) -> str | None:
    if moment is None:
        return "is required" if required else None
    if FIRST <= moment < LAST:
        return None
    return f"{moment.isoformat().replace('+00:00', 'Z')} is not between the years 1970 and 9998"


def _wrong_figure(
    figure: Decimal | None, fits: Callable[[Decimal], str | None], *, required: bool = False
) -> str | None:
    if figure is None:
        return "is required" if required else None
    if (digits := integer_digits(figure)) <= MAX_DIGITS:
        figure = _stored(figure)
        digits = integer_digits(figure)
    if digits > MAX_DIGITS:
        return f"has {digits} digits before the point, at most {MAX_DIGITS} are taken"
    return fits(figure)


def _positive(figure: Decimal) -> str | None:
    return None if figure > 0 else f"{plain(figure)} is not greater than 0"


def _not_negative(figure: Decimal) -> str | None:
    return None if figure >= 0 else f"{plain(figure)} is negative, give 0 or more"


def _any(figure: Decimal) -> str | None:
    return None
