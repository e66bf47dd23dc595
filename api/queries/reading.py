"""How a reader says how new the answer must be, and how long it may wait for that."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

import msgspec
from fastapi import Depends, Header, Query
from starlette.requests import Request

from api.problems import Misfit, RequestProblem, unfit
from api.received import received

DEFAULT_WAIT: Final = 2.0
MAX_WAIT: Final = 30.0
"""Seconds; ``Prefer: wait`` asks for more in vain."""
MAX_POSITION: Final = 10**18 - 1

_POSITION = re.compile(r"[0-9]{1,40}\Z")
_WAIT = re.compile(r'\s*wait\s*=\s*(?:"([0-9]{1,40})"|([0-9]{1,40}))\s*(?:;.*)?\Z', re.IGNORECASE)


class Reading(msgspec.Struct, frozen=True):
    """The position the answer must have seen at least, and the seconds to wait for it."""

    at_least: int = 0
    wait: float = DEFAULT_WAIT

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for: the larger of ``at_least`` and ``X-Min-Position``.

        Raises ``RequestProblem`` (422) for a position that is none; a ``Prefer`` that is none is ignored.
        """
        headers = received(request.scope).headers
        asked: list[tuple[Misfit, str]] = []
        if request.scope["query_string"]:
            asked.extend(
                (Misfit("parameter", "at_least", _detail(text)), text)
                for text in request.query_params.getlist("at_least")
            )
        if (raw := headers.get(b"x-min-position")) is not None:
            text = raw.decode("latin-1").strip()
            asked.append((Misfit("header", "X-Min-Position", _detail(text)), text))
        preference = headers.get(b"prefer")
        wait = DEFAULT_WAIT if preference is None else _wait(preference.decode("latin-1"))
        if not asked:
            return cls(0, wait)
        faults = [fault for fault, text in asked if not _POSITION.match(text)]
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(min(max(int(text) for _, text in asked), MAX_POSITION), wait)


def _detail(text: str) -> str:
    return f"{text[:40]!a} is not a position: give 1 to 40 digits"


def _wait(preference: str) -> float:
    """Return the seconds of the first ``wait=N`` (RFC 7240), at most ``MAX_WAIT``; the default where there is none."""
    for part in preference.split(","):
        if match := _WAIT.match(part):
            return min(float(match[1] or match[2]), MAX_WAIT)
    return DEFAULT_WAIT


async def _parameters(
    at_least: Annotated[
        int | None,
        Query(
            ge=0,
            le=MAX_POSITION,
            description="Log position that the answer must include, as `X-Position` of a command told it.",
            examples=[4711],
        ),
    ] = None,
    x_min_position: Annotated[
        int | None,
        Header(ge=0, le=MAX_POSITION, description="The same as `at_least`; the larger of both counts."),
    ] = None,
    prefer: Annotated[
        str | None,
        Header(description=f"`wait=N`: seconds to wait for the position, at most {MAX_WAIT:.0f} (RFC 7240)."),
    ] = None,
) -> None:
    """What FastAPI documents of ``Reading``."""


ReadingAt = Annotated[Reading, Depends(_parameters)]
