"""The bodies of the commands on investment models (seed 002): rules of single values and those between them.

Both are asked of the domain, so that all faults of a body are told at once. Unknown members are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, cast

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from api.bodies import Body, Text, circumstances, fits
from api.numbers import NUMBER_SCHEMA, Number, wrong
from domain.errors import Fault
from domain.investment_model import (
    ModelPosition,
    faults_between,
    portfolio_faults,
    wrong_band,
    wrong_drift,
    wrong_model_name,
    wrong_security_id,
    wrong_target,
)
from domain.investment_model.rules import MAX_PORTFOLIOS
from domain.portfolio import wrong_id

MAX_GIVEN: Final = 1_000
"""So many positions are read: at most 100 of them can have a target, one without is dropped."""
MAX_VERSION: Final = 10**18 - 1


def together(rule: Callable[[Sequence[Any]], list[Fault]]) -> WrapValidator:
    """Return the validator of a rule between the members of a list, told beside the faults of single members.

    Where some do not fit, the rule is asked of those that do.
    """

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        own: list[ErrorDetails] = []
        places: Sequence[int]
        try:
            members = handler(value)
            places = range(len(members))
        except ValidationError as error:
            own = error.errors(include_url=False)
            unfit = {fault["loc"][:1] for fault in own}
            places = [place for place in range(len(value)) if (place,) not in unfit] if () not in unfit else []
            if not places:
                raise
            members = handler([value[place] for place in places])
        between = [_between(fault, places) for fault in rule(members)]
        if own or between:
            raise ValidationError.from_exception_data("list", [*map(_again, own), *between])
        return members

    return WrapValidator(check)


def _again(fault: ErrorDetails) -> InitErrorDetails:
    kind = wrong(fault["msg"]) if fault["type"] == "fault" else fault["type"]
    return InitErrorDetails(type=kind, loc=fault["loc"], input=fault["input"], ctx=fault.get("ctx", {}))


def _between(fault: Fault, places: Sequence[int]) -> InitErrorDetails:
    """Return the fault where it is in the list that was given; the rule has numbered those that fit."""
    steps: list[int | str] = [*fault.pointer.split("/")[1:]]
    if steps:
        steps[0] = places[int(steps[0])]
    return InitErrorDetails(type=wrong(fault.detail), loc=tuple(steps), input=None)


def _version(value: Any) -> int:
    whole = isinstance(value, int | Decimal) and not isinstance(value, bool) and value == int(value)
    if not whole or not 0 <= value <= MAX_VERSION:
        raise wrong("is not the version of a model, which is a whole number")
    return int(value)


Version = Annotated[
    int,
    PlainValidator(_version),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_VERSION}),
]
"""The version of a model that the caller has read."""


def _percent(most: int) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": most}, NUMBER_SCHEMA["anyOf"][1]]})


def _in_band(high_drift: Decimal, info: ValidationInfo) -> Decimal:
    low_drift = info.data.get("low_drift")
    if low_drift is not None and (fault := wrong_band(low_drift, high_drift)):
        raise wrong(fault)
    return high_drift


def _same_as_path(text: str | None, info: ValidationInfo) -> str | None:
    named = circumstances(info).path_params["security_id"]
    if text is not None and text != named:
        raise wrong(f"{text[:100]!a} is not the security of the path, {named[:100]!a}")
    return text


SecurityId = Annotated[str, fits(wrong_security_id), Field(json_schema_extra={"pattern": "^[A-Za-z0-9]{24}$"})]
Target = Annotated[Number, fits(wrong_target), _percent(95)]
LowDrift = Annotated[Number, fits(wrong_drift), _percent(100)]
HighDrift = Annotated[Number, fits(wrong_drift), AfterValidator(_in_band), _percent(100)]


class Lenient(Body):
    """Base of the bodies of seed 002: an unknown member is ignored."""

    model_config = ConfigDict(extra="ignore")


class PositionBody(Lenient):
    """A security of a model; all weights in percent (seed 002)."""

    security_id: SecurityId
    """Exactly 24 letters and digits."""
    target: Target
    """0 to 95 in multiples of 0.005; a position with target 0 is dropped."""
    low_drift: LowDrift
    """How far below its target it may be, 0 to 100."""
    high_drift: HighDrift
    """How far above its target it may be, not below `low_drift`."""

    @property
    def position(self) -> ModelPosition:
        """The position as the domain takes it."""
        return ModelPosition(self.security_id, self.target, self.low_drift, self.high_drift)


class PositionAddition(PositionBody):
    """A security to put into a model."""

    version: Version | None = None
    """Absent, or the version of the model that was read."""


class PositionChange(Lenient):
    """Another target and drifts of a security; all weights in percent."""

    security_id: Annotated[str | None, AfterValidator(_same_as_path)] = None
    """Absent, or the one of the path."""
    target: Target
    """0 to 95 in multiples of 0.005; with 0 the security is taken out."""
    low_drift: LowDrift
    high_drift: HighDrift
    version: Version | None = None
    """Absent, or the version of the model that was read."""


PortfolioIds = Annotated[
    list[
        Annotated[
            str,
            fits(wrong_id),
            Field(json_schema_extra={"minLength": 1, "maxLength": 100, "pattern": r"^(?!\.{1,2}$)[A-Za-z0-9_.:-]+$"}),
        ]
    ],
    Field(min_length=1, max_length=MAX_PORTFOLIOS),
]


class PortfolioAddition(Lenient):
    """Portfolios that are to follow a model; those that do already change nothing."""

    portfolios: PortfolioIds
    version: Version | None = None
    """Absent, or the version of the model that was read."""


class ModelBody(Lenient):
    """An investment model (seed 002)."""

    name: Annotated[Text, fits(wrong_model_name), Field(json_schema_extra={"minLength": 1, "pattern": r"\S"})]
    """1 to 200 characters, unique among the models that there are; white space around it does not count."""
    positions: Annotated[
        list[Annotated[PositionBody, AfterValidator(lambda body: body.position)]],
        Field(max_length=MAX_GIVEN),
        together(lambda positions: faults_between(positions, "")),
    ]
    """Each security once, at most 100 with a target, which are 95 % or less together."""
    portfolios: Annotated[PortfolioIds, together(lambda portfolios: portfolio_faults(portfolios, ""))]
    """Ids of the portfolios that follow the model, each once; they need not exist yet."""

    @property
    def asked(self) -> tuple[ModelPosition, ...]:
        """The positions as the domain takes them, which is what validation has made of them."""
        return tuple(cast(list[ModelPosition], self.positions))


class ModelReplacement(ModelBody):
    """What a model is to be from now on."""

    version: Version
    """The version of the model that was read; another one is a 409."""
