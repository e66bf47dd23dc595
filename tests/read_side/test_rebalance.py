"""Rebalances as they are found: by id, newest first, by portfolios; and runs that are asked about."""

from __future__ import annotations

from typing import Any

import pytest

from domain.base import Event
from domain.errors import NotFound, NotYet
from domain.rebalance import RebalanceRecorded
from projections.rebalance import REBALANCE_PROJECTOR
from read_side.rebalance import REBALANCES, Rebalanced, Rebalances, failures_key
from read_side.rebalance_rendering import rebalance_json
from read_side.store import Page
from tests.projections.logs import append, process
from tests.projections.quoting import recorded
from tests.projections.rebalancing import NOW, a_rebalance, a_run, failure, run_id, whole
from tests.projections.running import running


def made(events: list[Event]) -> list[str]:
    return [each.originator_id.split("/")[1] for each in events if isinstance(each, RebalanceRecorded)]


def ids(found: Rebalanced) -> list[str]:
    return [row.rebalance_id for row in found.rows]


async def test_rebalances_are_found_with_their_runs(database_url: str) -> None:
    first, second, third = whole(1, ("A", "B")), whole(2, ("B",)), whole(3, ("C", "A"), asynchronous=True)
    newest = [*made(third)[::-1], *made(second), *made(first)[::-1]]
    async with process(database_url) as one, running(one, projector=REBALANCE_PROJECTOR):
        queries = Rebalances(one.store, one.signals)
        head = await append(database_url, *first, *second, *third)
        run, row = await queries.by_id(made(second)[0], at_least=head, wait=60)
        assert (run.run_id, row.portfolio_id) == (run_id(2), "B")

        found = await queries.newest()
        assert (ids(found), found.total) == (newest, 5)
        assert set(found.runs) == {run_id(1), run_id(2), run_id(3)}
        part = await queries.newest(offset=1, limit=2)
        assert (ids(part), part.total, set(part.runs)) == (newest[1:3], 5, {run_id(2), run_id(3)})
        beyond = await queries.newest(offset=5)
        assert (ids(beyond), beyond.total, await beyond.json()) == ([], 5, b"[]")

        of_b = await queries.of_portfolios(["B", "NONE", "\0"])
        assert (ids(of_b), of_b.total) == ([made(second)[0], made(first)[1]], 2)
        assert await of_b.json() == b"[%b]" % b",".join(rebalance_json(of_b.runs[row.run_id], row) for row in of_b.rows)
        assert ids(await queries.of_portfolios(())) == []
        assert ids(await queries.of_portfolios(["A", "B", "C"])) == newest

        operation, failures = await queries.operation(run_id(3))
        assert (operation.done, operation.finished, operation.rebalances) == (2, True, tuple(made(third)))
        assert failures == ()


async def test_an_operation_is_found_with_its_failures(database_url: str) -> None:
    run = a_run(portfolios=("A", "B"), asynchronous=True)
    run.finish([failure("A"), failure("B")], NOW)
    async with process(database_url) as one:
        queries = Rebalances(one.store, one.signals)
        async with running(one, projector=REBALANCE_PROJECTOR):
            head = await append(database_url, *run.collect_events())
            operation, failures = await queries.operation(run.run_id, at_least=head, wait=60)
            assert (operation.finished, operation.failed, failures) == (True, 2, (failure("A"), failure("B")))
            for beside in (queries.operation(failures_key(run.run_id)), queries.by_id(failures_key(run.run_id))):
                with pytest.raises(NotFound):
                    await beside
            assert (await queries.newest()).total == 0
        start = await one.store.prepare(REBALANCES)
        lost: Page[Any] = Page({failures_key(run.run_id): None}, start, start.position)
        await one.store.save_page(REBALANCES, lost)
        with pytest.raises(NotYet):
            await queries.operation(run.run_id)


async def test_what_is_none_or_behind_says_so(database_url: str) -> None:
    events = whole(1, ("A",))
    async with process(database_url) as one:
        await one.store.prepare(REBALANCES)
        queries = Rebalances(one.store, one.signals)
        async with running(one, projector=REBALANCE_PROJECTOR):
            head = await append(database_url, *events)
            await one.store.wait_for(REBALANCES, head, 60)
        for missing in ("", "x", "..", "a/b", "\0", "\ud800", "f" * 24, run_id(1)):
            with pytest.raises(NotFound):
                await queries.by_id(missing)
        for missing in (run_id(1), made(events)[0], run_id(2), "\0"):
            with pytest.raises(NotFound):
                await queries.operation(missing)
        for asked in (
            queries.by_id("x", at_least=head + 1, wait=0.01),
            queries.newest(at_least=head + 1, wait=0.01),
            queries.of_portfolios(["A"], at_least=head + 1, wait=0.01),
            queries.operation("x", at_least=head + 1, wait=0.01),
        ):
            with pytest.raises(NotYet):
                await asked


async def test_a_rebalance_whose_run_was_lost_with_the_view_is_not_there_yet(database_url: str) -> None:
    """Between the two reads of a list the database can have come back from a crash without its last moment."""
    run = a_run()
    rebalance = a_rebalance(run)
    rows = REBALANCE_PROJECTOR.fold({}, recorded([*run.collect_events(), *rebalance.collect_events()]))
    async with process(database_url) as one:
        start = await one.store.prepare(REBALANCES)
        lost: Page[Any] = Page({**rows, run.run_id: None}, start, 3)
        await one.store.save_page(REBALANCES, lost)
        queries = Rebalances(one.store, one.signals)
        for asked in (queries.newest(), queries.by_id(rebalance.rebalance_id), queries.of_portfolios(["ACC-1"])):
            with pytest.raises(NotYet):
                await asked
