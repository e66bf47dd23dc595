"""Bodies of requests: read exactly, checked by pydantic models that take no unknown member, all faults at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, TypeVar

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails
from starlette.requests import Request

from api.numbers import Moment, kind, loads, wrong
from api.problems import Misfit, RequestProblem, pointer, unfit
from domain.portfolio import wrong_time

MAX_FAULTS: Final = 20_001
"""As many as the largest body that is meant can have: 10,000 prices with every id and price wrong, and `as_of`."""

_TYPES: Final = {
    "string_type": "a text",
    "list_type": "an array",
    "dict_type": "an object",
    "bool_type": "true or false",
}

B = TypeVar("B", bound="Body")


class Body(BaseModel):
    """Base of the models of request bodies: frozen, and an unknown member is a fault.

    Validators find the ``Circumstances`` of the request as their context.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    MAY_BE_EMPTY: ClassVar[bool] = False
    """Whether no body at all is as good as ``{}``."""


class Circumstances(msgspec.Struct, frozen=True):
    """What a body is checked against besides itself."""

    now: datetime
    path_params: Mapping[str, str]


def circumstances(info: ValidationInfo) -> Circumstances:
    """For validators: return the circumstances of the request whose body is checked."""
    found: Circumstances = info.context  # type: ignore[assignment]
    return found


async def read_body(request: Request, model: type[B]) -> B:
    """Return the body as this model; raises ``RequestProblem``: 400 when it is not JSON, 422 when it does not fit."""
    raw = await request.body()
    value = {} if model.MAY_BE_EMPTY and not raw.strip() else loads(raw)
    scope = request.scope
    return validated(model, value, Circumstances(scope["app"].state.clock(), scope["path_params"]))


def validated(model: type[B], value: Any, context: Circumstances) -> B:
    """Return the JSON value as this model; raises ``RequestProblem`` (422) naming every fault."""
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        if error.error_count() > MAX_FAULTS:
            faults = [Misfit("pointer", "", f"has {error.error_count()} faults, too many to tell")]
        else:
            faults = [_misfit(fault) for fault in error.errors(include_url=False)]
    raise RequestProblem(unfit(*faults))


def fits(rule: Callable[[Any], str | None]) -> AfterValidator:
    """Return the validator of a rule of the domain: it says what is wrong with a value, or None."""

    def check(value: Any) -> Any:
        if fault := rule(value):
            raise wrong(fault)
        return value

    return AfterValidator(check)


def _misfit(fault: ErrorDetails) -> Misfit:
    place = pointer(fault["loc"])
    context: Mapping[str, Any] = fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            detail = "is not a member that is known here"
        case "missing":
            detail = "is missing"
        case "model_type":
            detail = "is not an object"
        case "enum":
            given = fault["input"]
            detail = f"{ascii(given[:40]) if isinstance(given, str) else kind(given)} is not {context['expected']}"
        case "too_short":
            detail = f"has {context['actual_length']} members, give {context['min_length']} or more"
        case "too_long":
            detail = f"has {context['actual_length']} members, {context['max_length']} at most are taken"
        case "string_type" | "list_type" | "dict_type" | "bool_type":
            detail = f"{kind(fault['input'])} is not {_TYPES[fault['type']]}"
        case "fault":
            detail = fault["msg"]
        case _:
            detail = fault["msg"][:1].lower() + fault["msg"][1:]
    return Misfit("pointer", place, detail)


def has_controls(text: str) -> bool:
    """Whether a text holds a control character, which can neither be shown nor, some, be stored."""
    return not text.isprintable() and any(character < " " or "\x7f" <= character <= "\x9f" for character in text)


def _without_controls(text: str) -> str:
    if has_controls(text):
        raise wrong("holds a control character, which cannot be shown")
    return text


Text = Annotated[str, AfterValidator(_without_controls)]
"""A text for people: without control characters."""


def _not_ahead(at: datetime, info: ValidationInfo) -> datetime:
    if fault := wrong_time(at, circumstances(info).now):
        raise wrong(fault)
    return at


BusinessTime = Annotated[Moment, AfterValidator(_not_ahead)]
"""When something happened or from when it is so: at most five minutes ahead of the clock."""
