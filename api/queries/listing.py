"""How a caller pages through a list of ours: ``limit`` and ``cursor``; and query parameters that are one of a set."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Self, TypeVar

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request

from api.bodies import has_controls
from api.problems import Misfit, RequestProblem, unfit

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_CURSOR: Final = 2000
MAX_TEXT: Final = 200

_LIMIT = re.compile(r"[0-9]{1,9}\Z")
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


async def _parameters(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items on the page.")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=MAX_CURSOR, description="`next` of the page before.")
    ] = None,
) -> None:
    """What FastAPI documents of ``Listing``."""


ListingOf = Annotated[Listing, Depends(_parameters)]
