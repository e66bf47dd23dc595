"""The view of investment models: each as its events leave it, and for each portfolio the models that it follows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from domain.base import Event
from domain.errors import Broken, Refused
from projections.investment_model import INVESTMENT_MODEL_PROJECTOR
from projections.projector import Folding
from read_side.investment_model import FollowedRow, InvestmentModelRow, ModelRow, followed_key
from tests.domain.models import BOND, MODEL_ID, TECH, model, position, rebalanced
from tests.domain.portfolios import NOW
from tests.projections.quoting import recorded

OTHER_ID = "0123456789abcdef01234567"
LATER = NOW + timedelta(days=1)


def rows_of(events: Iterable[Event]) -> dict[str, InvestmentModelRow]:
    made = INVESTMENT_MODEL_PROJECTOR.fold({}, recorded(events))
    return {key: row for key, row in made.items() if row is not None}


def followed(rows: dict[str, InvestmentModelRow]) -> dict[str, tuple[str, ...]]:
    """Return the models that portfolios follow."""
    return {row.portfolio_id: row.model_ids for row in rows.values() if isinstance(row, FollowedRow)}


def test_a_new_model_has_its_row_and_its_portfolios_have_theirs() -> None:
    assert rows_of(model(portfolios=("P-1", "P-2")).collect_events()) == {
        MODEL_ID: ModelRow(
            model_id=MODEL_ID,
            name="Balanced Portfolio",
            positions=(position(),),
            portfolios=("P-1", "P-2"),
            last_rebalance_date=None,
            version=1,
            position=1,
        ),
        "portfolio/P-1": FollowedRow(portfolio_id="P-1", model_ids=(MODEL_ID,), position=1),
        "portfolio/P-2": FollowedRow(portfolio_id="P-2", model_ids=(MODEL_ID,), position=1),
    }


def test_only_rows_that_an_event_concerns_are_changed() -> None:
    one = model(portfolios=("P-1", "P-2"))
    one.add_position(position(BOND, "1"), NOW)
    one.add_portfolios(["P-3"], NOW)
    one.remove_portfolio("P-1", NOW)
    one.replace("Growth", [], ["P-2", "P-4"], NOW)
    rows = rows_of(one.collect_events())
    assert {key: row.position for key, row in rows.items()} == {
        MODEL_ID: 5,
        "portfolio/P-2": 1,
        "portfolio/P-4": 5,
    }
    assert followed(rows) == {"P-2": (MODEL_ID,), "P-4": (MODEL_ID,)}


def test_a_portfolio_follows_several_models_in_the_order_in_which_it_came_to() -> None:
    first, second = model(), model(OTHER_ID, name="Other")
    events = [*first.collect_events(), *second.collect_events()]
    assert followed(rows_of(events)) == {"P-1": (MODEL_ID, OTHER_ID)}
    first.delete(NOW)
    events += first.collect_events()
    assert followed(rows_of(events)) == {"P-1": (OTHER_ID,)}
    second.delete(NOW)
    assert rows_of([*events, *second.collect_events()]) == {}


def test_a_rebalance_dates_the_model_and_does_not_move_its_version() -> None:
    one = model()
    events: list[Event] = [*one.collect_events(), rebalanced(MODEL_ID, at=LATER)]
    row = rows_of(events)[MODEL_ID]
    assert isinstance(row, ModelRow)
    assert (row.last_rebalance_date, row.version, row.position) == (LATER, 1, 2)
    one.change_position(position(TECH, "1"), NOW)
    row = rows_of([*events, *one.collect_events()])[MODEL_ID]
    assert isinstance(row, ModelRow)
    assert (row.last_rebalance_date, row.version, row.position) == (LATER, 2, 3)


def test_a_rebalance_of_a_deleted_model_changes_nothing() -> None:
    one = model()
    one.delete(NOW)
    assert rows_of([*one.collect_events(), rebalanced(MODEL_ID, at=LATER)]) == {}


def test_a_stream_without_its_beginning_stops_the_view() -> None:
    one = model()
    one.collect_events()
    one.remove_position(TECH, NOW)
    with pytest.raises(Broken, match="was never created"):
        rows_of(one.collect_events())


ACTS: list[Any] = [
    lambda it, at: it.replace("Growth", [position(BOND, "5")], ["P-2", "P-3"], at),
    lambda it, at: it.replace("Growth", [position(BOND, "5"), position()], ["P-1"], at),
    lambda it, at: it.add_position(position(BOND, "10"), at),
    lambda it, at: it.change_position(position(BOND, "20"), at),
    lambda it, at: it.remove_position(TECH, at),
    lambda it, at: it.add_portfolios(["P-2", "P-4"], at),
    lambda it, at: it.remove_portfolio("P-1", at),
    lambda it, at: it.remove_portfolio("P-2", at),
    lambda it, at: it.delete(at),
]
"""What may happen to a model; some of it is refused."""


@settings(max_examples=200, deadline=None)
@drawn(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(-1, len(ACTS) - 1)), max_size=30), st.integers(1, 7))
def test_whatever_happens_and_however_it_is_cut_the_view_is_what_the_aggregates_are(
    happened: list[tuple[int, int]], size: int
) -> None:
    ids = [f"{number:024x}" for number in range(3)]
    models = [model(model_id, name=f"Model {model_id[-1]}") for model_id in ids]
    dates: dict[str, datetime] = {}
    events: list[Event] = [event for one in models for event in one.collect_events()]
    for number, (which, act) in enumerate(happened, 1):
        at = NOW + timedelta(hours=number)
        if act < 0:
            events.append(rebalanced(ids[which], at=at, number=number))
            dates[ids[which]] = at
            continue
        try:
            ACTS[act](models[which], at)
        except Refused:
            continue
        events += models[which].collect_events()
    rows = in_pages(events, size)
    live = [one for one in models if not one.deleted]
    assert {key: shown(row) for key, row in rows.items() if isinstance(row, ModelRow)} == {
        one.model_id: (one.name, tuple(one.positions.values()), one.portfolios, one.version, dates.get(one.model_id))
        for one in live
    }
    expected = {
        portfolio_id: {one.model_id for one in live if portfolio_id in one.portfolios}
        for one in live
        for portfolio_id in one.portfolios
    }
    assert {portfolio_id: set(found) for portfolio_id, found in followed(rows).items()} == expected
    assert all(len(set(found)) == len(found) for found in followed(rows).values())
    assert {row.key for row in rows.values()} == rows.keys()


def shown(row: ModelRow) -> tuple[Any, ...]:
    return row.name, row.positions, row.portfolios, row.version, row.last_rebalance_date


def in_pages(events: list[Event], size: int) -> dict[str, InvestmentModelRow]:
    """Fold the events in pages of this size, as a runner does that has to look up every row."""
    rows: dict[str, InvestmentModelRow] = {}
    whole = recorded(events)
    for start in range(0, len(whole), size):
        folding = Folding(INVESTMENT_MODEL_PROJECTOR, whole[start : start + size])
        looked_up: dict[str, InvestmentModelRow | None] = {}
        while wanted := folding.advance(looked_up.__getitem__):
            looked_up |= {key: rows.get(key) for key in wanted}
        rows = {key: row for key, row in (rows | folding.changed).items() if row is not None}
    return rows


def test_it_is_known_which_rows_an_event_reads() -> None:
    one = model(portfolios=("P-1", "P-2"))
    one.add_portfolios(["P-3"], NOW)
    one.remove_portfolio("P-1", NOW)
    one.delete(NOW)
    created, added, removed, deleted = recorded(one.collect_events())
    reads = INVESTMENT_MODEL_PROJECTOR.reads
    assert reads([created]) == {MODEL_ID, followed_key("P-1"), followed_key("P-2")}
    assert reads([added]) == {MODEL_ID, followed_key("P-3")}
    assert reads([removed]) == {MODEL_ID, followed_key("P-1")}
    assert reads([deleted]) == {MODEL_ID}
    assert reads(recorded([rebalanced(OTHER_ID)])) == {OTHER_ID}
