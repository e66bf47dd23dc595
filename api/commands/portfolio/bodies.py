"""The bodies of the commands on portfolios (seed 004); rules of single values are asked of the domain.

So all faults of a body are told at once, those of its shape and those of its content.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field, ValidationInfo

from api.bodies import Body, BusinessTime, Text, circumstances, fits
from api.numbers import Number, wrong
from domain.portfolio import (
    PositionUpdate,
    Status,
    TransactionType,
    wrong_id,
    wrong_instrument,
    wrong_name,
    wrong_opening_cash,
    wrong_price,
    wrong_quantity,
)
from domain.values import ZERO

MAX_UPDATES = 1000


def _same_as_path(text: str | None, info: ValidationInfo) -> str | None:
    named = circumstances(info).path_params["portfolio_id"]
    if text is not None and text != named:
        raise wrong(f"{text[:100]!a} is not the portfolio of the path, {named!a}")
    return text


def _of_its_kind(rule: Callable[[TransactionType, Any], str | None]) -> AfterValidator:
    """Return the validator of a member whose rule depends on the kind of the update.

    Where the kind itself does not fit, only what no kind takes is a fault.
    """

    def check(value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("transaction_type")
        faults = [rule(each, value) for each in (TransactionType if kind is None else (kind,))]
        if all(faults):
            raise wrong(faults[0] or "")
        return value

    return AfterValidator(check)


class PortfolioOpening(Body):
    """A portfolio to open."""

    portfolio_id: Annotated[
        str,
        fits(wrong_id),
        Field(json_schema_extra={"minLength": 1, "maxLength": 100, "pattern": r"^(?!\.{1,2}$)[A-Za-z0-9_.:-]+$"}),
    ]
    portfolio_name: Annotated[Text, fits(wrong_name), Field(json_schema_extra={"minLength": 1, "pattern": r"\S"})]
    cash_balance: Annotated[Number, fits(wrong_opening_cash)] = ZERO
    """Opening cash, 0 or more."""


class StatusChange(Body):
    """The status that a portfolio is to have."""

    status: Status


class PositionUpdateBody(Body):
    """One update of a position (seed 004 ``PositionUpdate``)."""

    transaction_type: TransactionType
    quantity_change: Annotated[Number, _of_its_kind(wrong_quantity)]
    """The size moved, always positive: shares, or for DEP, WD and FEE cash."""
    instrument_id: Annotated[str | None, _of_its_kind(wrong_instrument), Field(validate_default=True)] = None
    """What is moved or pays the dividend. For DEP, WD and FEE: absent or `CASH`."""
    price: Annotated[Number | None, _of_its_kind(wrong_price), Field(validate_default=True)] = None
    """Of one share. For DEP, WD and FEE: absent or 1. OUT moves shares at their average cost and needs none."""


def _asked(body: PositionUpdateBody) -> PositionUpdate:
    """Return the update as the domain takes it."""
    return PositionUpdate(
        transaction_type=body.transaction_type,
        quantity_change=body.quantity_change,
        instrument_id=body.instrument_id,
        price=body.price,
    )


Updates = Annotated[
    list[Annotated[PositionUpdateBody, AfterValidator(_asked)]], Field(min_length=1, max_length=MAX_UPDATES)
]


class PortfolioUpdate(Body):
    """Updates of positions at one time, all or none, applied in order (seed 004 ``PortfolioUpdate``)."""

    portfolio_id: Annotated[str | None, AfterValidator(_same_as_path)] = None
    """Absent, or the one of the path."""
    updates: Updates
    timestamp: BusinessTime
    """When it happened; at most 5 minutes ahead of the clock."""

    @property
    def asked(self) -> tuple[PositionUpdate, ...]:
        """The updates as the domain takes them, which is what validation has made of them."""
        return tuple(cast(list[PositionUpdate], self.updates))
