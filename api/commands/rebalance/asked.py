"""What a rebalance is asked for besides its body: the model, a preview, later, and which version is deleted."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

import msgspec
from fastapi import Depends, Header, Path, Query
from starlette.requests import Request

from api.problems import Misfit, Problem, RequestProblem, unfit
from api.received import prefers_later, received

MAX_VERSION: Final = 10**18 - 1
_VERSION = re.compile(r"[0-9]{1,18}\Z")
_PREVIEWS = {None: False, "false": False, "true": True}

ModelId = Annotated[str, Path(description="Id of the model.")]
RebalanceId = Annotated[str, Path(description="Id of the rebalance.")]


class OfPortfolio(msgspec.Struct, frozen=True):
    """By which model a portfolio is to be rebalanced, and whether it is only to be seen."""

    model_id: str | None = None
    preview: bool = False

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the query says; raises ``RequestProblem`` (422)."""
        _only(request, "model_id", "preview", "at_least")
        return cls(request.query_params.get("model_id"), _preview(request))


class OfModel(msgspec.Struct, frozen=True):
    """Whether the rebalances of a model are only to be seen, or to be made after the request is answered."""

    preview: bool = False
    later: bool = False

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what query and ``Prefer`` say; raises ``RequestProblem`` (422). A preview is never made later."""
        _only(request, "preview", "at_least")
        preview = _preview(request)
        return cls(preview, not preview and prefers_later(request.scope))


class Deletion(msgspec.Struct, frozen=True):
    """Which version of a rebalance is to be deleted; None where ``If-Match`` says it."""

    version: int | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the query says; raises ``RequestProblem``: 422, or 428 where nothing says it."""
        text = request.query_params.get("version")
        if text is None:
            if b"if-match" not in received(request.scope).headers:
                detail = "a rebalance is deleted by its version: give If-Match with its ETag, or the parameter version"
                raise RequestProblem(Problem(code="precondition-required", detail=detail))
            return cls()
        if not _VERSION.match(text):
            raise RequestProblem(unfit(Misfit("parameter", "version", f"{text[:40]!a} is not a version")))
        return cls(int(text))


def _only(request: Request, *known: str) -> None:
    """Raise ``RequestProblem`` (422) for a parameter that is not known: a misspelt preview would be recorded."""
    faults = [
        Misfit("parameter", name[:40], f"is not a parameter that is known here: {', '.join(known)}")
        for name in request.query_params
        if name not in known
    ]
    if faults:
        raise RequestProblem(unfit(*faults))


def _preview(request: Request) -> bool:
    text = request.query_params.get("preview")
    if text not in _PREVIEWS:
        raise RequestProblem(unfit(Misfit("parameter", "preview", f"{(text or '')[:40]!a} is neither true nor false")))
    return _PREVIEWS[text]


async def _of_portfolio(
    model_id: Annotated[
        str | None,
        Query(description="The model to rebalance by; needed where the portfolio follows several."),
    ] = None,
    preview: Annotated[bool, Query(description="Compute and answer without recording.")] = False,
) -> None:
    """What FastAPI documents of ``OfPortfolio``."""


async def _of_model(
    preview: Annotated[bool, Query(description="Compute and answer without recording.")] = False,
    prefer: Annotated[
        str | None,
        Header(description="`respond-async`: answer 202 at once, with where to ask for the results (RFC 7240)."),
    ] = None,
) -> None:
    """What FastAPI documents of ``OfModel``."""


async def _deletion(
    version: Annotated[
        int | None,
        Query(ge=0, le=MAX_VERSION, description="The version that was read; needed without `If-Match`."),
    ] = None,
) -> None:
    """What FastAPI documents of ``Deletion``."""


OfPortfolioAsked = Annotated[OfPortfolio, Depends(_of_portfolio)]
OfModelAsked = Annotated[OfModel, Depends(_of_model)]
DeletionAsked = Annotated[Deletion, Depends(_deletion)]
