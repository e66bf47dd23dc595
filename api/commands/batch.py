"""Routes of the commands on accounting batches (seed 001): send, retry, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, NoReturn, Self

import msgspec
from fastapi import APIRouter, Depends, Header
from starlette.requests import Request
from starlette.responses import Response

from api.commands.calls import Calling
from api.documented import COMMAND_PROBLEMS, answered
from api.received import prefers_later
from api.routing import Route
from api.seed_001 import refusals
from api.shown_batches import BATCH, BatchId, BatchShown, SendShown, number_of
from domain.base import Aggregate, Event
from domain.batch import Batch
from domain.errors import Broken
from read_side.batch import BatchRow, batch_json
from read_side.wire import encode
from write_side.batch import Batches
from write_side.batch.sending import Started
from write_side.event_store import Done
from write_side.log import Answer, Context

_BODILESS: Final = {"not-json", "body-too-large", "unsupported-media-type"}
_PROBLEMS: Final = [code for code in COMMAND_PROBLEMS if code not in _BODILESS]
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


async def _when(
    prefer: Annotated[
        str | None,
        Header(description="`respond-async`: answer 202 at once, with the batch to look at (RFC 7240)."),
    ] = None,
) -> None:
    """What FastAPI documents of ``When``."""


WhenAsked = Annotated[When, Depends(_when)]
Run = Callable[[Context, Started], Awaitable[Done[Aggregate]]]


def routes(batches: Batches) -> APIRouter:
    """Return the router of these commands."""
    router = APIRouter(route_class=Route, tags=["batches"])
    later: set[asyncio.Task[Response]] = set()

    async def run(call: Calling, when: When, command: Run) -> Response:
        """Answer when the run has come to its end; where it is wanted, with the first batch that it works on."""
        first: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()

        def started(batch: Batch) -> None:
            if not first.done():
                first.set_result(batch)

        async def told(context: Context) -> Done[Aggregate]:
            return await command(context, started)

        answer = asyncio.create_task(call.answer(told, _never, versioned=False), name="batches asked for")
        if not when.later:
            return await answer
        later.add(answer)
        answer.add_done_callback(later.discard)
        waits: list[asyncio.Future[Any]] = [answer, first]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            return await answer
        answer.add_done_callback(_heard)
        return _accepted(first.result(), await batches.event_log.head())

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
            **refusals(*_PROBLEMS, "not-found", *_FAILURES),
        },
    )
    async def send_executions(call: Calling, when: WhenAsked) -> Response:
        return await run(call, when, lambda context, started: batches.send(context, _sent, started))

    @router.post(
        "/api/v1/batches/{batch_id}/retry",
        summary="Retry a failed batch",
        description="Hands the same file over once more, whatever older batches wait for. Answers as `send`.",
        response_model=SendShown,
        responses={
            200: answered("What was sent", "X-Position", "Idempotency-Replayed", example=_SENT),
            202: answered("The batch that is being sent", "X-Position", "Location", example=BATCH),
            **refusals(*_PROBLEMS, "not-found", "rule-violated", *_FAILURES, no_number="invalid batch ID"),
        },
    )
    async def retry_batch(call: Calling, batch_id: BatchId, when: WhenAsked) -> Response:
        number = number_of(batch_id)
        return await run(call, when, lambda context, started: batches.retry(number, context, _sent, started))

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
                *_PROBLEMS,
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


def _accepted(batch: Batch, position: int) -> Response:
    """Return where to look at a batch whose run goes on."""
    headers = {
        "X-Position": str(position),
        "Location": f"/api/v1/batches/{batch.batch_id}?at_least={position}",
        "Preference-Applied": "respond-async",
    }
    return Response(batch_json(BatchRow.of(batch)), 202, headers, "application/json")


def _heard(answer: asyncio.Task[Response]) -> None:
    """Take note of an answer that nobody waits for; what went wrong stands in the batch, and in the log."""
    if not answer.cancelled():
        answer.exception()


async def _never(_: Aggregate, events: Sequence[Event]) -> NoReturn:
    raise Broken(f"a run of batches brings its answer with it, {len(events)} events are not to be rendered")
