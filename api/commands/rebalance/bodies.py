"""The body of the commands on rebalances: the options, which are ours; none at all is the seed's behaviour."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    Field,
    PlainValidator,
    StrictBool,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails

from api.bodies import Body
from api.numbers import NUMBER_SCHEMA, Number, wrong
from domain.rebalance import Mode, OnInfeasible, Options, wrong_options
from domain.rebalance.options import MAX_NAMED
from domain.values import ZERO

_SECURITY_ID: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 24,
    "pattern": r"^(?!\.{1,2}$)[A-Za-z0-9_.:-]+$",
}


class CashPart(Body):
    """A part of the market value."""

    percent: Number
    """0 to 100."""


def _cash(value: Any) -> Decimal | CashPart:
    """Take an amount, or an object with the percentage."""
    if isinstance(value, dict):
        return CashPart.model_validate(value)
    return _numbers().validate_python(value)


@cache
def _numbers() -> TypeAdapter[Decimal]:
    return TypeAdapter(Number)


Cash = Annotated[
    Decimal | CashPart,
    PlainValidator(_cash),
    WithJsonSchema(
        {
            "anyOf": [
                *NUMBER_SCHEMA["anyOf"],
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["percent"],
                    "properties": {"percent": {"type": "number", "minimum": 0, "maximum": 100}},
                },
            ]
        }
    ),
]


class RebalanceOptions(Body):
    """How a rebalance is to be made; every option may be left out."""

    MAY_BE_EMPTY: ClassVar[bool] = True

    mode: Mode = Mode.TO_TARGET
    """`to_target`: as near to the targets as whole shares allow. `breached_only`: what is inside its band is not
    traded. `to_band`: as little is traded as brings everything into its band."""
    min_cash: Cash = ZERO
    """What stays in cash: an amount, or `{"percent": n}` of the market value."""
    buy_only: StrictBool = False
    """Nothing is sold."""
    sell_only: StrictBool = False
    """Nothing is bought."""
    do_not_trade: Annotated[list[str], Field(max_length=MAX_NAMED, json_schema_extra={"items": _SECURITY_ID})] = []  # noqa: RUF012 - pydantic copies it
    """Securities that are left as they are; their bands still bind."""
    min_trade: Number = ZERO
    """No trade is worth less, unless it brings a security back into its band."""
    lot_size: Annotated[
        dict[str, Number], Field(max_length=MAX_NAMED, json_schema_extra={"propertyNames": _SECURITY_ID})
    ] = {}  # noqa: RUF012 - pydantic copies it
    """By security: its position is a whole multiple of this, instead of one share."""
    on_infeasible: OnInfeasible = OnInfeasible.ERROR
    """`nearest`: where nothing fits, what leaves the bands by the least value; cash and all options hold."""

    @property
    def asked(self) -> Options:
        """The options as the domain takes them."""
        part = self.min_cash if isinstance(self.min_cash, CashPart) else None
        return Options(
            mode=self.mode,
            min_cash=self.min_cash if isinstance(self.min_cash, Decimal) else ZERO,
            min_cash_percent=part.percent if part else ZERO,
            buy_only=self.buy_only,
            sell_only=self.sell_only,
            do_not_trade=tuple(self.do_not_trade),
            min_trade=self.min_trade,
            lot_size=self.lot_size,
            on_infeasible=self.on_infeasible,
        )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Ask the domain what is wrong with the options, each and together."""
        if faults := wrong_options(self.asked):
            raise ValidationError.from_exception_data(
                "options",
                [InitErrorDetails(type=wrong(fault.detail), loc=_place(fault.pointer), input=None) for fault in faults],
            )
        return self


def _place(pointer: str) -> tuple[str | int, ...]:
    """Return the place that a JSON pointer names."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
