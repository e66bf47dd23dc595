"""Routes of the commands on rebalances (seed 002)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.responses import Response

from api.commands.calls import Call, Calling, with_position
from api.commands.rebalance.answers import OPERATIONS, ListOf, Operation, Receipt, operation, receipt, results_json
from api.commands.rebalance.asked import DeletionAsked, ModelId, OfModelAsked, OfPortfolioAsked, RebalanceId
from api.commands.rebalance.bodies import RebalanceOptions
from api.commands.rebalance.documented import DELETED, OF_MODEL, OF_PORTFOLIO, OPTIONS
from api.queries.reading import ReadingAt
from api.routing import PortfolioId, Router
from api.shown_rebalances import FailedShown, RebalanceShown
from domain.base import Event
from domain.errors import NotFound
from domain.portfolio import wrong_id
from domain.rebalance import Rebalance, RebalanceRun
from write_side.event_store import Done
from write_side.log import Context
from write_side.rebalance import DeleteRebalance, Outcome, RebalanceModel, RebalancePortfolio, Runs


class Answered(msgspec.Struct, frozen=True):
    """What a command was told of its run, and the results as JSON: none where it is done later."""

    told: Response
    results: list[bytes]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, whatever its body will be."""
        return {name: value for name, value in self.told.headers.items() if name != "content-length"}


Handle = Callable[[Context], Awaitable[Outcome]]


def routes(runs: Runs) -> Router:
    """Return the router of these commands over these runs."""
    router = Router("rebalances")

    async def run(call: Call, handle: Handle, *, preview: bool = False, later: bool = False) -> Answered:
        """Run the command.

        What is stored under an Idempotency-Key is a receipt: of a request that comes again the log has the results.
        """
        outcome: Outcome | None = None

        async def command(context: Context) -> Done[RebalanceRun]:
            nonlocal outcome
            outcome = await handle(context)
            return outcome.done

        told = await call.answer(
            command, operation if later else receipt, status=202 if later else 200, versioned=False
        )
        if told.status_code == 202:
            return Answered(told, [])
        if outcome is not None and outcome.results is not None and outcome.done.aggregate is not None:
            made, found = outcome.done.aggregate, outcome.results
        else:
            made, found = await runs.results(msgspec.json.decode(told.body, type=Receipt).run_id)
        return Answered(told, await results_json(runs.means.gate, made, found, preview=preview))

    @router.post(
        "/api/v1/rebalance/portfolio/{portfolio_id}",
        summary="Rebalance a portfolio",
        description=(
            "Whole shares as near to the targets of its model as bands and cash allow, with a certificate of how good "
            "they are. Nothing is traded: the answer is a record of what to trade. It is new: no `If-Match` fits it."
        ),
        response_model=RebalanceShown,
        responses=OF_PORTFOLIO,
        openapi_extra=OPTIONS,
    )
    async def rebalance_portfolio(
        call: Calling, portfolio_id: PortfolioId, asked: OfPortfolioAsked, reading: ReadingAt, body: RebalanceOptions
    ) -> Response:
        if wrong_id(portfolio_id):
            raise NotFound(f"portfolio {portfolio_id[:100]!a} does not exist")
        command = RebalancePortfolio(
            portfolio_id=portfolio_id,
            model_id=asked.model_id,
            options=body.asked,
            preview=asked.preview,
            at_least=reading.at_least,
        )
        done = await run(call, lambda context: command.handle(runs, context), preview=asked.preview)
        return Response(done.results[0], headers=done.headers | ({} if asked.preview else {"ETag": '"1"'}))

    @router.post(
        "/api/v1/rebalance/model/{model_id}",
        summary="Rebalance the portfolios of a model",
        description=(
            "A result for every portfolio that follows the model, in its order: a rebalance, or the problem that its "
            "own call would answer. One that fails never spoils the others. All are priced at the same moment."
        ),
        response_model=list[RebalanceShown | FailedShown],
        responses=OF_MODEL,
        openapi_extra=OPTIONS,
    )
    async def rebalance_model(
        call: Calling, model_id: ModelId, asked: OfModelAsked, body: RebalanceOptions
    ) -> Response:
        command = RebalanceModel(model_id=model_id, options=body.asked, preview=asked.preview, asynchronous=asked.later)
        done = await run(call, lambda context: command.handle(runs, context), preview=asked.preview, later=asked.later)
        if done.told.status_code == 202:
            return _accepted(done)
        return ListOf(done.results, done.headers)

    @router.delete(
        "/api/v1/rebalances/{rebalance_id}",
        status_code=204,
        summary="Delete a rebalance",
        description="Takes a rebalance from what is shown. It is still in the log, and its run can be asked about.",
        responses=DELETED,
    )
    async def delete_rebalance(call: Calling, rebalance_id: RebalanceId, asked: DeletionAsked) -> Response:
        command = DeleteRebalance(rebalance_id=rebalance_id, version=asked.version)
        answer = await call.answer(
            lambda context: command.handle(runs.store, context, now=runs.means.clock()),
            _nothing,
            status=204,
            versioned=False,
        )
        del answer.headers["content-type"]
        return answer

    return router


def _accepted(done: Answered) -> Response:
    """Return the answer to what is recorded and done later: where to ask for it.

    The place names the position too: whoever goes there at once would be told that there is no such operation.
    """
    body, position = bytes(done.told.body), int(done.headers["x-position"])
    operation_id = msgspec.json.decode(body, type=Operation).operation_id
    headers = {
        "Location": f"{OPERATIONS}/{operation_id}?at_least={position}",
        "Preference-Applied": "respond-async",
    }
    return Response(with_position(body, position), 202, headers=done.headers | headers)


async def _nothing(_: Rebalance, __: Sequence[Event]) -> bytes:
    return b""
