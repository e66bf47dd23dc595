"""How a caller pages through a list of ours, ``limit`` and ``cursor``; and query parameters of several types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Final, Self, TypeVar

import msgspec
from fastapi import Depends, Query
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from api.bodies import has_controls
from api.numbers import Moment
from api.problems import Misfit, RequestProblem, unfit
from domain.errors import Invalid

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_CURSOR: Final = 2000
MAX_TEXT: Final = 200

_LIMIT = re.compile(r"[0-9]{1,9}\Z")
_BLANK_FOR_PLUS = re.compile(r"[^ ]{1,50}:[0-9.]{1,50} [0-9]{2}:[0-9]{2}\Z")
E = TypeVar("E", bound=StrEnum)


class Listing(msgspec.Struct, frozen=True):
    """One page of a list: how many items, and where it begins (the ``next`` of the page before)."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the page asked for; raises ``RequestProblem`` (422)."""
        if not request.scope["query_string"]:
            return cls()
        params, faults = request.query_params, []
        text = params.get("limit", str(DEFAULT_LIMIT))
        limit = int(text) if _LIMIT.match(text) else 0
        if not 1 <= limit <= MAX_LIMIT:
            faults.append(Misfit("parameter", "limit", f"{text[:40]!a} is not a number from 1 to {MAX_LIMIT}"))
        cursor = params.get("cursor")
        if cursor is not None and not (0 < len(cursor) <= MAX_CURSOR and cursor.isprintable()):
            faults.append(Misfit("parameter", "cursor", "is not a cursor that a page gave as its next"))
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(limit, cursor)


@contextmanager
def told_as_parameters() -> Iterator[None]:
    """Tell what is wrong with a query as faults of its parameters: a refusal of the read side becomes a 422."""
    try:
        yield
    except Invalid as error:
        faults = (Misfit("parameter", fault.pointer.strip("/"), fault.detail) for fault in error.faults)
        raise RequestProblem(unfit(*faults)) from None


def one_of(request: Request, name: str, kind: type[E], faults: list[Misfit]) -> E | None:
    """Return the query parameter as a member of the set, None where it is absent; adds to ``faults``."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        faults.append(Misfit("parameter", name, f"{text[:40]!a} is not one of {', '.join(kind)}"))
        return None


def words(request: Request, name: str, faults: list[Misfit]) -> str | None:
    """Return the query parameter as a text to look for, None where it is absent or empty; adds to ``faults``."""
    text = request.query_params.get(name)
    if text is not None and (len(text) > MAX_TEXT or has_controls(text)):
        faults.append(Misfit("parameter", name, f"is not up to {MAX_TEXT} characters without control characters"))
    return text or None


def instant(request: Request, name: str, faults: list[Misfit]) -> datetime | None:
    """Return the query parameter as a time by RFC 3339, in UTC, None where it is absent; adds to ``faults``.

    Its offset has to be there. The ``+`` of one arrives as a blank unless it is written ``%2B``; that is told, for a
    guess would be taken for the rule.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if _BLANK_FOR_PLUS.match(text):
        detail = (
            f"{text!a} has a blank before its offset: in a query a + is written %2B, as in {text.replace(' ', '%2B')}"
        )
        faults.append(Misfit("parameter", name, detail))
        return None
    try:
        return _moments().validate_python(text)
    except ValidationError as error:
        detail = f"{error.errors()[0]['msg']} (in a query a + is written %2B)"
        faults.append(Misfit("parameter", name, detail))
        return None


@cache
def _moments() -> TypeAdapter[datetime]:
    return TypeAdapter(Moment)


async def _parameters(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items on the page.")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=MAX_CURSOR, description="`next` of the page before.")
    ] = None,
) -> None:
    """What FastAPI documents of ``Listing``."""


ListingOf = Annotated[Listing, Depends(_parameters)]
