"""The results of portfolios in a run: what they have, the run's prices, the optimiser's answers; nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

import structlog

from domain.errors import Broken, FoliologError, Invalid, OutcomeUnknown, Refused, StoreUnavailable, Unavailable
from domain.rebalance import Answer, Problem, Rebalance, RebalanceRun
from write_side.gate import Gate
from write_side.ports import Held, Holdings, MarketPrices, Optimiser
from write_side.rebalance.inputs import must_name_known, names_beside_model, problem, securities, trade_date

log = structlog.get_logger(__name__)

OF_THE_LOG = (StoreUnavailable, OutcomeUnknown)
"""What is away where the log is away: nothing can be stored then."""

Found: TypeAlias = dict[str, Rebalance | FoliologError]
"""What was found out of portfolios: a result, or why there is none."""
Solved: TypeAlias = dict[str, tuple[Problem, Answer] | FoliologError]
"""What the optimiser has made of portfolios, or why there is nothing."""


@dataclass(frozen=True, kw_only=True)
class Means:
    """What results are computed from; ``gate`` is shared by all who compute on this event loop."""

    holdings: Holdings
    prices: MarketPrices
    optimiser: Optimiser
    clock: Callable[[], datetime]
    gate: Gate = field(default_factory=Gate)

    async def must_name_known(self, run: RebalanceRun) -> None:
        """Raise ``Invalid`` where an option names what is neither held nor in the model.

        What is held is asked for only where a name is not in the model. Where it cannot be told now nothing is raised:
        it is looked at again when the run is done.
        """
        if not names_beside_model(run):
            return
        try:
            told = await self.holdings.of(run.portfolios)
        except Unavailable:
            return
        if held := [each for each in told.values() if isinstance(each, Held)]:
            must_name_known(run.options, await self._wanted(run, held))

    async def _wanted(self, run: RebalanceRun, held: Iterable[Held]) -> set[str]:
        """Return every security that the model has or one of these portfolios holds, found in slices."""
        wanted = securities(run, ())
        await self.gate.map(lambda each: wanted.update(securities(run, [each])), held)
        return wanted

    async def prepared(
        self, run: RebalanceRun, left: Sequence[str], found: Found, alone: bool, last_attempt: bool
    ) -> dict[str, Held]:
        """Return what these portfolios have, and give the run its prices where it has none yet.

        Raises ``Invalid`` where an option names what is neither held nor in the model; in an asynchronous run, which
        nobody waits for, that is what all these portfolios have come to.
        """
        try:
            told = await self.holdings.of(left)
            held = {portfolio_id: each for portfolio_id, each in told.items() if isinstance(each, Held)}
            found |= {portfolio_id: each for portfolio_id, each in told.items() if isinstance(each, FoliologError)}
            if run.prices is None and left:
                wanted = await self._wanted(run, held.values())
                if held and not alone:
                    must_name_known(run.options, wanted)
                priced = await self.prices.of(wanted)
                now = self.clock()
                run.price(
                    priced.prices,
                    source=self.prices.source,
                    price_position=priced.position,
                    trade_date=trade_date(now),
                    at=now,
                )
        except Unavailable as error:
            found |= _given_up(left, error, last_attempt)
            return {}
        except Invalid as refusal:
            if not run.asynchronous:
                raise
            found |= dict.fromkeys(left, refusal)
            return {}
        if alone and held:
            must_name_known(run.options, securities(run, held.values()))
        return held

    async def solved(
        self, run: RebalanceRun, portfolios: Sequence[str], held: dict[str, Held], last_attempt: bool
    ) -> Solved:
        """Return for each portfolio its problem with the answer, or why there is none."""

        def stated(portfolio_id: str) -> Problem | FoliologError:
            try:
                return problem(run, portfolio_id, held.get(portfolio_id))
            except Refused as refusal:
                return refusal

        inputs = dict(zip(portfolios, await self.gate.map(stated, portfolios), strict=True))
        solved: Solved = {each: error for each, error in inputs.items() if isinstance(error, FoliologError)}
        problems = {each: found for each, found in inputs.items() if isinstance(found, Problem)}
        try:
            answers = await self._answered(list(problems.values())) if problems else []
        except Unavailable as error:
            return solved | _given_up(list(problems), error, last_attempt)
        for (portfolio_id, asked), answer in zip(problems.items(), answers, strict=True):
            solved[portfolio_id] = (asked, answer) if isinstance(answer, Answer) else answer
        return solved

    async def _answered(self, problems: Sequence[Problem]) -> Sequence[Answer | FoliologError]:
        """Return what the optimiser makes of each; a defect that one of them meets keeps no answer from the others."""
        try:
            return await self.optimiser.solve(problems)
        except Unavailable:
            raise
        except Exception as error:  # any: it is reported, and is why this portfolio has no result
            if len(problems) == 1:
                digest = problems[0].digest
                log.exception("the optimiser failed", problem=digest, error=str(error))
                wrong = (
                    error if isinstance(error, Broken) else Broken(f"the problem {digest} was not solved: {error!r}")
                )
                return [wrong]
        return [answer for each in problems for answer in await self._answered([each])]

    async def made(
        self,
        run: RebalanceRun,
        solved: Solved,
        held: dict[str, Held],
        found: Found,
    ) -> list[Rebalance]:
        """Put what was solved into ``found``; return what is new and can be stored."""
        now = self.clock()

        def made(portfolio_id: str) -> Rebalance | FoliologError:
            solution = solved[portfolio_id]
            if isinstance(solution, FoliologError):
                return solution
            name = held[portfolio_id].portfolio_name
            return Rebalance.recorded(run, portfolio_id, name, *solution, now)

        made_of = dict(zip(solved, await self.gate.map(made, solved), strict=True))
        found |= made_of
        return [each for each in made_of.values() if isinstance(each, Rebalance)]


def _given_up(portfolios: Sequence[str], error: Unavailable, last_attempt: bool) -> dict[str, FoliologError]:
    """Return the error as what these portfolios have come to; raises it where there will be another attempt."""
    if not last_attempt or isinstance(error, OF_THE_LOG):
        raise error
    return dict.fromkeys(portfolios, error)
