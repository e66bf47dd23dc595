"""The view of rebalances: each with all that it was made from, and runs that know how far they are."""

from __future__ import annotations

from typing import Any

import pytest

from domain.base import Event
from domain.errors import Broken
from domain.rebalance import Failure, RebalanceDeleted, RebalanceRecorded, drifts, faults, trades
from projections.projector import Folding
from projections.rebalance import REBALANCE_PROJECTOR
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.rebalance import REBALANCES, FailuresRow, RebalanceRow, RunRow, failures_key
from read_side.rebalance_rendering import rebalance_json
from tests.projections.logs import append, content, process
from tests.projections.quoting import recorded
from tests.projections.rebalancing import (
    BOND,
    GOLD,
    NOW,
    POSITIONS,
    PRICES,
    TECH,
    a_rebalance,
    a_run,
    failure,
    random_rebalances,
    run_id,
    whole,
)
from tests.projections.running import running


def rows_of(*events: Event) -> dict[str, RunRow | RebalanceRow | FailuresRow]:
    rows = REBALANCE_PROJECTOR.fold({}, recorded(events))
    return {key: row for key, row in rows.items() if row is not None}


def the_run(rows: dict[str, RunRow | RebalanceRow | FailuresRow], number: int = 1) -> RunRow:
    row = rows[run_id(number)]
    assert isinstance(row, RunRow)
    return row


def test_a_run_tells_how_far_it_is() -> None:
    run = a_run(portfolios=("A", "B", "C"), asynchronous=True, prices=None)
    told = []
    steps: list[Event] = list(run.collect_events())
    run.price(PRICES, source="book", price_position=7, trade_date="2025-06-21", at=NOW)
    steps += run.collect_events()
    made = [a_rebalance(run, portfolio_id) for portfolio_id in ("A", "B")]
    for rebalance in made:
        steps += rebalance.collect_events()
    run.finish([failure("C")], NOW)
    steps += run.collect_events()
    for count in range(1, len(steps) + 1):
        row = the_run(rows_of(*steps[:count]))
        told.append((row.prices is not None, row.done, row.finished, row.position))
    assert told == [(False, 0, False, 1), (True, 0, False, 2), (True, 1, False, 3), (True, 2, False, 4),
                    (True, 2, True, 5)]  # fmt: skip
    row = the_run(rows_of(*steps))
    assert row.rebalances == tuple(each.rebalance_id for each in made)
    assert (row.failed, row.portfolios, row.positions) == (1, ("A", "B", "C"), POSITIONS)
    told_apart = FailuresRow(run_id=row.run_id, failures=(failure("C"),), position=5)
    assert rows_of(*steps)[failures_key(row.run_id)] == told_apart
    assert (row.model_name, row.model_version, row.requested_at) == ('Größe "1"', 3, NOW)
    assert (row.prices, row.source, row.price_position, row.trade_date) == (PRICES, "book", 7, "2025-06-21")


def test_why_portfolios_failed_is_no_part_of_what_a_rebalance_is_shown_with() -> None:
    """Who looks at one rebalance reads the row of its run, and nobody asks for the failures of an answered one."""
    for asynchronous in (True, False):
        run = a_run(portfolios=("A", "B"), asynchronous=asynchronous)
        run.finish([failure("B"), Failure("A", "broken", "said " * 100)], NOW)
        rows = rows_of(*run.collect_events())
        assert (failures_key(run.run_id) in rows) == asynchronous
        assert b"said" not in REBALANCES.encode(the_run(rows))


def test_only_runs_that_are_asked_about_know_the_ids() -> None:
    assert the_run(rows_of(*whole(1, ("A", "B")))).rebalances == ()
    assert the_run(rows_of(*whole(1, ("A", "B")))).done == 2
    assert len(the_run(rows_of(*whole(1, ("A", "B"), asynchronous=True))).rebalances) == 2


def test_a_row_is_shown_and_checked_as_the_aggregate_is() -> None:
    run = a_run()
    rebalance = a_rebalance(run, "ACC-1", "-12.5", {TECH: "700.5", GOLD: "1000000"})
    rows = rows_of(*run.collect_events(), *rebalance.collect_events())
    row = rows[rebalance.rebalance_id]
    assert isinstance(row, RebalanceRow)
    assert (row.recorded, row.position, row.version) == (3, 3, 1)
    assert rebalance_json(the_run(rows), row) == rebalance_json(run, rebalance)
    assert trades(the_run(rows), row) == trades(run, rebalance)
    assert [drift.security_id for drift in drifts(the_run(rows), row)] == [BOND, GOLD, TECH]
    assert faults(the_run(rows), row) == []


def test_what_is_deleted_goes_and_stays_counted() -> None:
    events = whole(1, ("A", "B"), asynchronous=True)
    rebalance_id = next(event for event in events if isinstance(event, RebalanceRecorded)).originator_id.split("/")[1]
    deleted = RebalanceDeleted(originator_id=f"rebalance/{rebalance_id}", originator_version=2, timestamp=NOW)
    before, after = rows_of(*events), rows_of(*events, deleted)
    assert before.keys() - after.keys() == {rebalance_id}
    assert the_run(after) == the_run(before)
    assert the_run(after).done == 2


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_run_without_its_beginning_stops_the_view(first: int) -> None:
    with pytest.raises(Broken, match="has not begun") as caught:
        REBALANCE_PROJECTOR.fold({}, recorded(whole())[first:])
    assert caught.value.position == first + 1


def test_a_rebalance_in_a_run_that_is_none_stops_the_view() -> None:
    events = whole()
    made = next(event for event in events if isinstance(event, RebalanceRecorded))
    rebalance = rows_of(*events)[made.originator_id.split("/")[1]]
    with pytest.raises(Broken, match="has not begun"):
        REBALANCE_PROJECTOR.fold({made.run_id: rebalance}, recorded([made]))


def test_nothing_is_read_that_was_not_named() -> None:
    row = the_run(rows_of(*a_run().collect_events()))
    for each in recorded(random_rebalances(1, 20)):
        read: list[str] = []

        def known(key: str, read: list[str] = read) -> RunRow:
            read.append(key)
            return row

        assert Folding(REBALANCE_PROJECTOR, [each]).advance(known) == ()
        assert set(read) == set(REBALANCE_PROJECTOR.keys(each))


@pytest.mark.parametrize("seed", range(5))
def test_pages_of_any_size_make_the_same_rows(seed: int) -> None:
    log = recorded(random_rebalances(seed, 30))
    made = []
    for size in (1, 7, 2_000):
        rows: dict[str, Any] = {}
        for first in range(0, len(log), size):
            bodies = {key: REBALANCES.encode(row) for key, row in rows.items() if row is not None}
            read = {key: REBALANCES.decode(body) for key, body in bodies.items()}
            rows = {**read, **REBALANCE_PROJECTOR.fold(read, log[first : first + size])}
        made.append({key: REBALANCES.encode(row) for key, row in rows.items() if row is not None})
    assert made[0] == made[1] == made[2]


def test_a_row_read_back_has_the_same_bytes() -> None:
    for row in rows_of(*random_rebalances(7, 30)).values():
        assert REBALANCES.decode(REBALANCES.encode(row)) == row
        assert REBALANCES.encode(REBALANCES.decode(REBALANCES.encode(row))) == REBALANCES.encode(row)


@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_incremental_is_rebuilt_byte_for_byte(database_url: str, page_size: int) -> None:
    events = random_rebalances(3, 40)
    head = await append(database_url, *events)
    async with process(database_url) as one:
        async with running(one, projector=REBALANCE_PROJECTOR, page_size=page_size):
            await one.store.wait_for(REBALANCES, head, 60)
        incremental = await content(database_url, REBALANCES)
        assert len(incremental) == len(rows_of(*events))
        compared = await verify(REBALANCE_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert (compared.position, compared.differences) == (head, [])
        rebuilt = await rebuild(REBALANCE_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert rebuilt.switched
    assert await content(database_url, REBALANCES) == incremental
