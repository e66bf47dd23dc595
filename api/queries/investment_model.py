"""Routes of the queries on investment models (seed 002)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Self

import msgspec
from fastapi import Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered, problems
from api.problems import Misfit, RequestProblem, unfit
from api.queries.reading import ReadingAt
from api.routing import Router
from api.shown_models import MODEL, MODEL_CHANGED, ModelShown
from read_side.investment_model import SORTS, InvestmentModels, list_json, row_json

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 10**15

_JSON = "application/json"
_QUERY_PROBLEMS = ("invalid-request", "internal-error", "store-unavailable", "projection-behind")
_NUMBER = re.compile(r"[0-9]{1,16}\Z")
_SORT = re.compile(rf"([+ -]?)({'|'.join(SORTS)})\Z")
_TOTAL = {"X-Total-Count": {"description": "How many there are in all.", "schema": {"type": "integer", "minimum": 0}}}


class Part(msgspec.Struct, frozen=True):
    """Which part of the list is asked for, and in which order."""

    offset: int = 0
    limit: int = DEFAULT_LIMIT
    sort: tuple[str, ...] = ("name",)

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (422) naming every fault."""
        if not request.scope["query_string"]:
            return cls()
        faults: list[Misfit] = []
        offset = _number(request, "offset", 0, 0, MAX_OFFSET, faults)
        limit = _number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT, faults)
        sort = _sort(request.query_params.get("sort_by", "name"), faults)
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(offset, limit, sort)


def _number(request: Request, name: str, default: int, least: int, most: int, faults: list[Misfit]) -> int:
    text = request.query_params.get(name, str(default))
    number = int(text) if _NUMBER.match(text) else -1
    if not least <= number <= most:
        faults.append(Misfit("parameter", name, f"{text[:40]!a} is not a number from {least} to {most}"))
    return number


def _sort(text: str, faults: list[Misfit]) -> tuple[str, ...]:
    """Return the members to sort by, with ``-`` for descending; a ``+`` in a query arrives as a blank."""
    sort: dict[str, str] = {}
    for each in text.split(","):
        if (match := _SORT.match(each)) is None:
            detail = f"{each[:40]!a} is not one of {', '.join(SORTS)}, with + or - before it"
            faults.append(Misfit("parameter", "sort_by", detail))
        else:
            sort.setdefault(match[2], "-" if match[1] == "-" else "")
    return tuple(sign + name for name, sign in sort.items())


async def _part(
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="So many models are passed over.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="So many models at most.")] = DEFAULT_LIMIT,
    sort_by: Annotated[
        str,
        Query(
            pattern=rf"^[+ -]?({'|'.join(SORTS)})(,[+ -]?({'|'.join(SORTS)}))*$",
            description=(
                f"What to sort by, after commas what decides between equals: {', '.join(SORTS)}; with `-` before it "
                "descending. Texts by code point; never rebalanced comes last; at the end the `model_id` decides."
            ),
            examples=["-last_rebalance_date,name"],
        ),
    ] = "name",
) -> None:
    """What FastAPI documents of ``Part``."""


def routes(models: InvestmentModels) -> Router:
    """Return the router of these queries."""
    router = Router("models")

    @router.get(
        "/api/v1/models/{model_id}",
        summary="A model",
        description="An investment model, as new as `at_least` says.",
        response_model=ModelShown,
        responses={
            200: answered("The model", "ETag", never_rebalanced=MODEL, rebalanced=MODEL_CHANGED),
            **problems(*_QUERY_PROBLEMS, "not-found", not_found="model '5f1d7a0c2b9e4f6d8a3c1e07' does not exist"),
        },
    )
    async def get_model(model_id: Annotated[str, Path(description="Id of the model.")], reading: ReadingAt) -> Response:
        row = await models.by_id(model_id, at_least=reading.at_least, wait=reading.wait)
        return Response(row_json(row), headers={"ETag": f'"{row.version}"'}, media_type=_JSON)

    @router.get(
        "/api/v1/models",
        summary="List models",
        description="A part of all models, by name where nothing else is said.",
        response_model=list[ModelShown],
        responses={200: _listed("Models", some=[MODEL], none=[]), **problems(*_QUERY_PROBLEMS)},
    )
    async def list_models(part: Annotated[Part, Depends(_part)], reading: ReadingAt) -> Response:
        found = await models.list(
            part.sort, offset=part.offset, limit=part.limit, at_least=reading.at_least, wait=reading.wait
        )
        headers = {"X-Total-Count": str(found.total)}
        return Response(list_json(found.rows), headers=headers, media_type=_JSON)

    return router


def _listed(description: str, **named_examples: Any) -> dict[str, Any]:
    return answered(description, **named_examples) | {"headers": _TOTAL}
