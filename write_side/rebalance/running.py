"""Runs of rebalances from beginning to end: resumable, in slices, one append for every few results.

Everything that a run goes by stands in its first append: model, options, prices. Whoever goes on with it, after a
crash or at the same time, takes what stands of its results as it is: the name of a result's stream follows from run
and portfolio, so the log takes each once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import cast

import structlog

from domain.errors import (
    Broken,
    FoliologError,
    NotFound,
    Overloaded,
    StaleVersion,
    Unavailable,
)
from domain.rebalance import Rebalance, RebalanceRun, rebalance_id_of
from write_side.claims import Claims
from write_side.event_store import Done, EventStore
from write_side.gate import Places
from write_side.log import Conflict, Context, KeyTaken, at_last, in_part
from write_side.ports import ModelsOf
from write_side.rebalance.inputs import names_beside_model
from write_side.rebalance.outcome import (
    Outcome,
    Result,
    finish,
    must_be_of,
    results_of,
    run_id_of,
)
from write_side.rebalance.solving import OF_THE_LOG, Found, Means, Solved

_SOLVED_AT_ONCE = 100
"""So many portfolios are given to the optimiser together."""
_APPENDED_AT_ONCE = 20
"""So many of their results are stored together."""
_LOADED_AT_ONCE = 20
"""So many of them are loaded by one query: what it brings is decoded without a pause."""
_ATTEMPTS = 20
log = structlog.get_logger(__name__)

Begin = Callable[[str], Awaitable[RebalanceRun]]
"""Makes the run with this id, which is not stored yet."""


def _of_models() -> Places:
    return Places(8, 1_000, "rebalances of models")


def _of_portfolios() -> Places:
    return Places(32, 1_000, "rebalances of portfolios")


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Does runs of rebalances, over what they need.

    ``patience`` is how many seconds a run waits for its place among the others, ``pauses`` after how many a stored
    one asks again for what is away.
    """

    store: EventStore
    means: Means
    models: ModelsOf
    patience: float = 60.0
    pauses: Sequence[float] = (0.5, 2.0, 8.0, 30.0, 60.0)
    _models: Places = field(default_factory=_of_models)
    _portfolios: Places = field(default_factory=_of_portfolios)
    _claims: Claims = field(default_factory=Claims)
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def carry_out(self, begin: Begin, context: Context, *, alone: bool = False, preview: bool = False) -> Outcome:
        """Do the run that ``begin`` makes, or go on with the one that an earlier attempt has stored under the key.

        An asynchronous one is only stored. ``alone``: it is of one portfolio, and refused where that has no result;
        a ``preview`` is not stored and not remembered. Raises what ``begin`` raises, ``Invalid`` for options that name
        what is not known, ``KeyReused``, ``KeyInFlight``, ``StaleVersion`` under any ``If-Match`` (a run is new),
        ``Unavailable``.
        """
        if replay := await self.store.replay(context):
            return Outcome(done=cast("Done[RebalanceRun]", replay))
        with self._claims.of(context.remember):
            if context.expected_version is not None:
                raise StaleVersion(RebalanceRun.stream(run_id_of(context)), context.expected_version or None, 0)
            run_id = run_id_of(context)
            stored = await self._stored(run_id, context) if context.remember is not None and not preview else None
            run = stored or await begin(run_id)
            later = stored is None and run.asynchronous
            async with AsyncExitStack() as stack:
                if not later or names_beside_model(run):
                    places = self._portfolios if alone else self._models
                    await stack.enter_async_context(places.one(context.began + self.patience))
                if later:
                    await self.means.must_name_known(run)
                if preview:
                    return await self._previewed(run, context, alone=alone)
                return await self._to_its_end(run, context, alone=alone)

    async def finish_run(self, run_id: str, context: Context) -> None:
        """Do a stored run to its end, from wherever it stands; one that has ended stays as it is.

        A port that is away is asked again after each of the ``pauses``; one that stays away is why the portfolios
        still left have no result, so that the run ends. Only without the log, or under too much load, it cannot:
        ``Unavailable``, and what is stored of it stands. Raises ``NotFound`` where there is no such run.
        """
        for pause in (*self.pauses, None):
            run = await self.store.load(RebalanceRun, run_id)
            if run is None:
                raise NotFound(f"there is no run {run_id[:100]!a}")
            if run.failures is not None:
                return
            try:
                async with self._models.one(time.monotonic() + self.patience):
                    await self._to_its_end(run, context, last_attempt=pause is None)
                return
            except Unavailable as error:
                if pause is None or isinstance(error, (*OF_THE_LOG, Overloaded)):
                    raise
                log.warning("a run waits for what is away", run_id=run_id, because=str(error))
                await asyncio.sleep(pause)

    async def results(self, run_id: str) -> tuple[RebalanceRun, Sequence[Result]]:
        """Return a stored run and what each of its portfolios has come to so far, as the log has it.

        Raises ``Broken`` where there is no such run.
        """
        run = await self.store.load(RebalanceRun, run_id)
        if run is None:
            raise Broken(f"run {run_id} was answered and is not in the log")
        return run, results_of(run, await self._standing(run))

    async def _stored(self, run_id: str, context: Context) -> RebalanceRun | None:
        """Return the run as it is stored, None where it is not; raises ``KeyReused`` for one of another request."""
        run = await self.store.load(RebalanceRun, run_id)
        if run is not None:
            must_be_of(run, context)
        return run

    async def _standing(self, run: RebalanceRun) -> Found:
        """Return the results of the run that are stored."""
        found: Found = {}
        for start in range(0, len(run.portfolios), _LOADED_AT_ONCE):
            some = run.portfolios[start : start + _LOADED_AT_ONCE]
            ids = {rebalance_id_of(run.run_id, portfolio_id): portfolio_id for portfolio_id in some}
            async with self._loading:
                stored = await self.store.load_many(Rebalance, ids)
                await asyncio.sleep(0)
            found |= {ids[rebalance_id]: rebalance for rebalance_id, rebalance in stored.items()}
        return found

    async def _to_its_end(
        self, run: RebalanceRun, context: Context, *, alone: bool = False, last_attempt: bool = False
    ) -> Outcome:
        """Do the run; where others store of it meanwhile, go on with what is stored."""
        for _ in range(len(run.portfolios) + _ATTEMPTS):
            try:
                return await self._attempt(run, context, alone, last_attempt)
            except (Conflict, KeyTaken):
                if replay := await self.store.replay(context):
                    return Outcome(done=cast("Done[RebalanceRun]", replay))
            stored = await self._stored(run.run_id, context)
            if stored is None:
                raise Broken(f"run {run.run_id} cannot be stored, and is not")
            run = stored
        raise Overloaded(f"run {run.run_id} was done by others again and again while it was done here")

    async def _attempt(self, run: RebalanceRun, context: Context, alone: bool, last_attempt: bool) -> Outcome:
        """Do what is left of the run. Raises ``Conflict`` and ``KeyTaken`` where somebody else has stored of it."""
        if run.pending_events and run.asynchronous:
            return Outcome(done=await self._record(run, [], context))
        found: Found = {} if run.pending_events else await self._standing(run)
        new: list[Rebalance] = []
        if run.failures is None:
            left = [portfolio_id for portfolio_id in run.portfolios if portfolio_id not in found]
            held = await self.means.prepared(run, left, found, alone, last_attempt)
            left = [portfolio_id for portfolio_id in left if portfolio_id not in found]
            solved: Solved = {}
            for start in range(0, len(left), _APPENDED_AT_ONCE):
                if new or (start and run.pending_events):
                    await self._record(run, new, in_part(context))
                if start % _SOLVED_AT_ONCE == 0:
                    solved = await self.means.solved(run, left[start : start + _SOLVED_AT_ONCE], held, last_attempt)
                chunk = left[start : start + _APPENDED_AT_ONCE]
                new = await self.means.made(run, {each: solved[each] for each in chunk}, held, found)
            if alone and isinstance(error := found.get(run.portfolios[0]), FoliologError):
                raise error
            finish(run, found, self.means.clock())
        done = await self._record(run, new, at_last(context))
        return Outcome(done=done, results=results_of(run, found))

    async def _previewed(self, run: RebalanceRun, context: Context, *, alone: bool) -> Outcome:
        """Do the run without storing anything; the position is the head of the log."""
        found: Found = {}
        held = await self.means.prepared(run, run.portfolios, found, alone, False)
        for start in range(0, len(run.portfolios), _SOLVED_AT_ONCE):
            solved = await self.means.solved(run, run.portfolios[start : start + _SOLVED_AT_ONCE], held, False)
            await self.means.made(run, solved, held, found)
        if alone and isinstance(error := found[run.portfolios[0]], FoliologError):
            raise error
        finish(run, found, self.means.clock())
        run.collect_events()
        return Outcome(done=await self._record(run, [], in_part(context)), results=results_of(run, found))

    async def _record(self, run: RebalanceRun, new: Sequence[Rebalance], context: Context) -> Done[RebalanceRun]:
        return cast("Done[RebalanceRun]", await self.store.record(run, *new, context=context))
