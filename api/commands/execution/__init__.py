"""Routes of the commands on executions (seed 001): report, look up again, send again, book."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NoReturn

from starlette.responses import Response

from api.commands.calls import JSON, Call, Calling
from api.commands.execution.answers import BatchCreateShown, batch_json, recorded, retried
from api.commands.execution.bodies import POSTED, posted
from api.commands.execution.documented import BOOKED, RECORDED, RESENT, RETRIED
from api.routing import Router
from api.shown_executions import ExecutionId, ExecutionShown, id_of
from domain.base import Aggregate, Event
from domain.errors import Broken, NotYet
from domain.execution import Execution, Sending, SendStatus
from read_side.execution import ExecutionRow, execution_json
from write_side.event_store import Done
from write_side.execution import (
    BookAgain,
    Outcome,
    RecordExecutions,
    Recording,
    ResendExecution,
    RetryFailedExecutions,
    service_id_of,
)
from write_side.log import Context

_LARGE: Final = 10_000
"""Bytes of a body from which on it is read in a turn of its own."""


def routes(recording: Recording, clock: Callable[[], datetime]) -> Router:
    """Return the router of these commands."""
    router = Router("executions")
    store, log, known = recording.store, recording.log, recording.known

    @router.post(
        "/api/v1/executions",
        status_code=201,
        summary="Report executions",
        description=(
            "Records the closed ones, each once by its `executionServiceId`, and answers for every row. The portfolio "
            "of one that does not name it is asked of the Trade Service; where that fails the row is kept, and the "
            "same row again or `POST /api/v1/executions/retry` takes it up. A recorded execution books itself into "
            "its portfolio."
        ),
        response_model=BatchCreateShown,
        responses=RECORDED,
        openapi_extra=POSTED,
    )
    async def report_executions(call: Calling) -> Response:
        body = await call.request.body()
        if len(body) > _LARGE:
            await recording.gate.turn()
        now = clock()
        command = RecordExecutions(rows=posted(body, now))
        return await _answer(call, lambda context: command.handle(recording, context, recorded, now=now))

    @router.post(
        "/api/v1/executions/retry",
        summary="Look up failed executions again",
        description="Up to 1,000 of them, those whose last attempt is the oldest first. It takes no body.",
        response_model=BatchCreateShown,
        responses=RETRIED,
    )
    async def retry_failed_executions(call: Calling) -> Response:
        command = RetryFailedExecutions()
        return await _answer(call, lambda context: command.handle(recording, context, retried, now=clock()))

    @router.post(
        "/api/v1/executions/{execution_id}/resend",
        summary="Send a rejected execution again",
        description="Lets an execution that accounting has rejected go out with the next new batch.",
        response_model=ExecutionShown,
        responses=RESENT,
    )
    async def resend_execution(call: Calling, execution_id: ExecutionId) -> Response:
        number = id_of(execution_id)
        command = ResendExecution(execution_id=number)

        async def render(execution: Execution, _: Sequence[Event]) -> bytes:
            return execution_json(ExecutionRow.of(execution, number), SendStatus.PENDING)

        return await call.answer(lambda context: command.handle(store, log, known, context, now=clock()), render)

    @router.post(
        "/api/v1/executions/{execution_id}/book",
        summary="Book an execution",
        description=(
            "Books what was filled into its portfolio, where that has not been done or was not possible. One that "
            "the portfolio still does not take stays parked, and the refusal says why."
        ),
        response_model=ExecutionShown,
        responses=BOOKED,
    )
    async def book_execution(call: Calling, execution_id: ExecutionId) -> Response:
        number = id_of(execution_id)
        command = BookAgain(service_id=await service_id_of(log, number), execution_id=number)
        found = await _sending(recording, number)

        async def render(execution: Execution, _: Sequence[Event]) -> bytes:
            asked_again = found.batch_id is not None and execution.resent_for >= found.batch_id
            status = SendStatus.PENDING if asked_again else found.status
            reason = None if asked_again else found.reason
            return execution_json(ExecutionRow.of(execution, number), status, reason)

        return await call.answer(lambda context: command.handle(store, context, now=clock()), render)

    return router


async def _answer(call: Call, command: Callable[[Context], Awaitable[Outcome]]) -> Response:
    """Run the command and answer for every row; the first answer again has the same bytes."""

    async def done(context: Context) -> Done[Aggregate]:
        return (await command(context)).done

    told = await call.answer(done, _never, versioned=False)
    body = batch_json(bytes(told.body), int(told.headers["x-position"]))
    headers = {name: value for name, value in told.headers.items() if name != "content-length"}
    return Response(body, told.status_code, headers, JSON)


async def _sending(recording: Recording, execution_id: int) -> Sending:
    """Return where the execution stands on its way to accounting; booking does not wait for views that are behind."""
    try:
        return await recording.known.sending_of(execution_id, await recording.log.head())
    except NotYet:
        return await recording.known.sending_of(execution_id, 0)


async def _never(_: Aggregate, events: Sequence[Event]) -> NoReturn:
    raise Broken(f"a command on many executions brings its answer with it, {len(events)} events are not to be rendered")
