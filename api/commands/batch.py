"""Routes of the commands on accounting batches (seed 001): send, retry, cancel."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final, NoReturn, Self

import msgspec
from fastapi import Depends, Header
from starlette.requests import Request
from starlette.responses import Response

from api.commands.calls import Calling
from api.documented import BODILESS_PROBLEMS, answered
from api.errors import of_ours
from api.problems import RequestProblem
from api.received import prefers_later
from api.routing import Router
from api.seed_001 import refusals
from api.shown_batches import BATCH, BatchId, BatchShown, SendShown, number_of
from domain.base import Aggregate, Event
from domain.batch import Batch
from domain.errors import Broken, NotDelivered
from read_side.batch import BatchRow, batch_json
from read_side.wire import encode
from write_side.batch import Batches, Render
from write_side.event_store import Done
from write_side.log import Answer, Context

_FAILURES: Final = ("batch-in-progress", "file-not-written", "cli-failed")
_SENT: Final = {
    "processedCount": 250,
    "fileName": "transactions_20250618_143000_17.csv",
    "status": "partial",
    "message": "250 executions sent in 1 batch, 2 of them rejected",
    "rejectedCount": 2,
}
_NOTHING: Final = {
    "processedCount": 0,
    "fileName": "",
    "status": "success",
    "message": "no executions to send",
    "rejectedCount": 0,
}


class When(msgspec.Struct, frozen=True):
    """Whether the answer is wanted before the batch has come to its end."""

    later: bool = False

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what ``Prefer`` says."""
        return cls(prefers_later(request.scope))

    @property
    def accepted(self) -> Render | None:
        """What makes the answer before the end, where that is wanted."""
        return _accepted if self.later else None


class _Place(msgspec.Struct):
    """What of a batch says where it is."""

    id: int


async def _when(
    prefer: Annotated[
        str | None,
        Header(description="`respond-async`: answer 202 at once, with the batch to look at (RFC 7240)."),
    ] = None,
) -> None:
    """What FastAPI documents of ``When``."""


WhenAsked = Annotated[When, Depends(_when)]


def routes(batches: Batches) -> Router:
    """Return the router of these commands."""
    router = Router("batches")

    async def run(call: Calling, command: Callable[[Context], Awaitable[Done[Aggregate]]]) -> Response:
        """Answer the command; a failure that is recorded tells the position from which on it can be seen."""
        try:
            answer = await call.answer(command, _never, versioned=False)
        except NotDelivered as error:
            if (problem := of_ours(error)) is None:
                raise
            position = await batches.event_log.head()
            raise RequestProblem(dataclasses.replace(problem, headers={"X-Position": str(position)})) from error
        if answer.status_code == 202:
            number = msgspec.json.decode(bytes(answer.body), type=_Place).id
            answer.headers["Location"] = f"/api/v1/batches/{number}?at_least={answer.headers['x-position']}"
            answer.headers["Preference-Applied"] = "respond-async"
        return answer

    @router.post(
        "/api/v1/executions/send",
        summary="Send executions to accounting",
        description=(
            "Brings batches that are unfinished or have failed to their end first, the oldest first, with the same "
            "file; fails one again, no new one is begun. Then a new batch takes every execution that is in none. "
            "One run at a time, over all processes. It goes on when its caller leaves."
        ),
        response_model=SendShown,
        responses={
            200: answered("What was sent", "X-Position", "Idempotency-Replayed", some=_SENT, nothing=_NOTHING),
            202: answered("The batch that is being sent", "X-Position", "Location", example=BATCH),
            **refusals(*BODILESS_PROBLEMS, "not-found", "rule-violated", *_FAILURES),
        },
    )
    async def send_executions(call: Calling, when: WhenAsked) -> Response:
        return await run(call, lambda context: batches.send(context, _sent, when.accepted))

    @router.post(
        "/api/v1/batches/{batch_id}/retry",
        summary="Retry a failed batch",
        description="Hands the same file over once more, and begins no new batch. Answers as `send`.",
        response_model=SendShown,
        responses={
            200: answered("What was sent", "X-Position", "Idempotency-Replayed", example=_SENT),
            202: answered("The batch that is being sent", "X-Position", "Location", example=BATCH),
            **refusals(*BODILESS_PROBLEMS, "not-found", "rule-violated", *_FAILURES, no_number="invalid batch ID"),
        },
    )
    async def retry_batch(call: Calling, batch_id: BatchId, when: WhenAsked) -> Response:
        number = number_of(batch_id)
        return await run(call, lambda context: batches.retry(number, context, _sent, when.accepted))

    @router.post(
        "/api/v1/batches/{batch_id}/cancel",
        summary="Cancel a failed batch",
        description=(
            "Gives the batch up: its executions go out with the next new one. Do it only when accounting has not "
            "taken its file, or it would get them twice."
        ),
        response_model=BatchShown,
        responses={
            200: answered("The batch", "X-Position", "ETag", "Idempotency-Replayed", example=BATCH),
            **refusals(
                *BODILESS_PROBLEMS,
                "not-found",
                "rule-violated",
                "batch-in-progress",
                "file-not-written",
                no_number="invalid batch ID",
            ),
        },
    )
    async def cancel_batch(call: Calling, batch_id: BatchId) -> Response:
        number = number_of(batch_id)
        return await call.answer(lambda context: batches.cancel(number, context, _cancelled), _never)

    return router


def _sent(batches: Sequence[Batch]) -> Answer:
    """Return what a run is answered with (seed 001 ``SendResponse``): counts of all that it has sent."""
    count, rejected = sum(batch.count for batch in batches), sum(len(batch.rejected) for batch in batches)
    message = "no executions to send"
    if batches:
        message = f"{_number(count, 'execution')} sent in {_number(len(batches), 'batch', 'es')}"
        message += f", {rejected} of them rejected" if rejected else ""
    body = {
        "processedCount": count,
        "fileName": batches[-1].file_name if batches else "",
        "status": "partial" if rejected else "success",
        "message": message,
        "rejectedCount": rejected,
    }
    return Answer(200, encode(body))


def _number(count: int, name: str, plural: str = "s") -> str:
    return f"{count} {name}{'' if count == 1 else plural}"


def _cancelled(batches: Sequence[Batch]) -> Answer:
    return Answer(200, batch_json(BatchRow.of(batches[0])))


def _accepted(batches: Sequence[Batch]) -> Answer:
    return Answer(202, batch_json(BatchRow.of(batches[0])))


async def _never(_: Aggregate, events: Sequence[Event]) -> NoReturn:
    raise Broken(f"a run of batches brings its answer with it, {len(events)} events are not to be rendered")
