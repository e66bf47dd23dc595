"""Routes of the command on work that follows the log: what is parked is done again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from api.commands.calls import Calling
from api.documented import BODILESS_PROBLEMS, answered, problems
from api.routing import Router
from api.shown_work import PARKED, ParkedEventDone
from domain.base import Aggregate, Event
from domain.errors import Broken, NotFound
from read_side.work import done_json
from write_side.event_store import Done
from write_side.log import Answer, Context
from write_side.work import Parked, Retries

_POSITION = re.compile(r"[1-9][0-9]{0,17}\Z")


def routes(retries: Retries) -> Router:
    """Return the router of this command."""
    router = Router("work")

    @router.post(
        "/api/v1/work/parked/{policy}/{position}/retry",
        summary="Do parked work again",
        description=(
            "Works on the event now, in the process that answers. Done, it is parked no more; when it fails again the "
            "attempt is counted and the answer says why. What is parked has no version: no ETag fits it as `If-Match`."
        ),
        response_model=ParkedEventDone,
        responses={
            200: answered("It is done", "X-Position", "Idempotency-Replayed", done={**PARKED, "done": True}),
            **problems(
                *BODILESS_PROBLEMS,
                "not-found",
                "rule-violated",
                not_found="nothing of policy 'asset-class-rebalances' is parked at position 42",
                rule_violated="portfolio.rebalance-requested.v1 at position 42 failed again: Broken: ...",
            ),
        },
    )
    async def retry_parked_work(
        call: Calling,
        policy: Annotated[str, Path(description="Name of the policy.", examples=["asset-class-rebalances"])],
        position: Annotated[str, Path(description="Log position of the event.", examples=["42"])],
    ) -> Response:
        if not _POSITION.match(position) or "\0" in policy:
            raise NotFound(f"nothing of policy {policy[:100]!a} is parked at position {position[:40]!a}")

        async def retry(context: Context) -> Done[Aggregate]:
            return await retries.retry(policy, int(position), context, render=_answer)

        return await call.answer(retry, _rendered, versioned=False)

    return router


def _answer(parked: Parked) -> Answer:
    return Answer(200, done_json(parked))


async def _rendered(_: Aggregate, events: Sequence[Event]) -> bytes:
    raise Broken(f"a retry brings its answer with it, {len(events)} events are not to be rendered")
