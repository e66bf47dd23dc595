"""Models as they are shown, found, listed and told by the portfolios that follow them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.base import Event
from domain.errors import NotFound, NotYet
from projections.investment_model import INVESTMENT_MODEL_PROJECTOR
from read_side.investment_model import (
    INVESTMENT_MODELS,
    SORTS,
    InvestmentModels,
    ModelRow,
    list_json,
    model_json,
    row_json,
)
from read_side.signals import Signals
from tests.api.folded import FoldedViews
from tests.domain.models import BOND, MODEL_ID, TECH, model, position, rebalanced
from tests.domain.portfolios import NOW
from tests.projections.logs import append, process
from tests.projections.running import running

NAMES = ("b", "B", "ä", "a", "Z", "日本")
DATED = {1: 3, 2: 1, 4: 2, 5: 1}
"""Of which models there are rebalances, and on which day."""


def model_id(number: int) -> str:
    return f"{number:024x}"


def several() -> list[Event]:
    """Six models, of which four were rebalanced, two of these at the same time."""
    events: list[Event] = []
    for number, name in enumerate(NAMES):
        events += model(model_id(number), name=name, portfolios=(f"P-{number}", "P")).collect_events()
    for number, day in DATED.items():
        events.append(rebalanced(model_id(number), NOW + timedelta(days=day), number))
    return events


def test_what_is_shown_is_exact_to_the_byte() -> None:
    one = model(
        name='Größe "1"', positions=[position(), position(BOND, "0.005", "0.0000010", "1E+2")], portfolios=["P-2", "P"]
    )
    shown = (
        '{"model_id":"5f1d7a0c2b9e4f6d8a3c1e07","name":"Größe \\"1\\"","positions":['
        f'{{"security_id":"{TECH}","target":60,"low_drift":2,"high_drift":5}},'
        f'{{"security_id":"{BOND}","target":0.005,"low_drift":0.000001,"high_drift":100}}],'
        '"portfolios":["P-2","P"],"last_rebalance_date":null,"version":1}'
    )
    assert model_json(one, one.positions.values(), None).decode() == shown
    row = ModelRow(
        model_id=one.model_id,
        name=one.name,
        positions=tuple(one.positions.values()),
        portfolios=one.portfolios,
        last_rebalance_date=NOW,
        version=1,
        position=1,
    )
    dated = shown.replace("null", '"2025-06-21T10:00:00Z"')
    assert row_json(row).decode() == dated
    assert list_json([row]).decode() == f"[{dated}]"
    assert list_json([]) == b"[]"
    assert INVESTMENT_MODELS.decode(INVESTMENT_MODELS.encode(row)) == row
    assert row.positions[1].low_drift == Decimal("0.000001")


ORDERS: list[tuple[tuple[str, ...], str]] = [
    (("name",), "1 4 3 0 2 5"),
    (("-name",), "5 2 0 3 4 1"),
    (("model_id",), "0 1 2 3 4 5"),
    (("-model_id",), "5 4 3 2 1 0"),
    (("last_rebalance_date",), "2 5 4 1 0 3"),
    (("-last_rebalance_date",), "1 4 2 5 0 3"),
    (("last_rebalance_date", "-name"), "5 2 4 1 0 3"),
    (("last_rebalance_date", "name"), "2 5 4 1 3 0"),
]


@pytest.fixture
def remembered() -> InvestmentModels:
    """The queries over views in memory."""
    return InvestmentModels(FoldedViews(several(), (INVESTMENT_MODEL_PROJECTOR,)), Signals())


async def ordered(queries: InvestmentModels, sort: Sequence[str], **part: Any) -> str:
    found = await queries.list(tuple(sort), **part)
    assert found.total == 6
    return " ".join(str(int(row.model_id, 16)) for row in found.rows if isinstance(row, ModelRow))


@pytest.mark.parametrize(("sort", "expected"), ORDERS)
async def test_models_are_sorted_by_code_point_with_nulls_last(
    remembered: InvestmentModels, sort: Sequence[str], expected: str
) -> None:
    assert await ordered(remembered, sort) == expected
    assert await ordered(remembered, sort, offset=2, limit=3) == expected[4:9]
    assert {name.lstrip("-") for name in sort} <= set(SORTS)


async def test_postgresql_sorts_and_finds_them_the_same(database_url: str) -> None:
    async with process(database_url) as one, running(one, projector=INVESTMENT_MODEL_PROJECTOR):
        queries = InvestmentModels(one.store, one.signals)
        gone = model(model_id(9), name="gone", portfolios=("P", "P-9"))
        gone.delete(NOW)
        head = await append(database_url, *several(), *gone.collect_events())
        for sort, expected in ORDERS:
            assert await ordered(queries, sort, at_least=head, wait=60) == expected
            assert await ordered(queries, sort, offset=2, limit=3) == expected[4:9]
            assert await ordered(queries, sort, offset=6) == ""
        row = await queries.by_id(model_id(1))
        assert (row.name, row.last_rebalance_date, row.version) == ("B", NOW + timedelta(days=3), 1)
        assert await queries.last_rebalance_date(model_id(1)) == NOW + timedelta(days=3)
        for never in (model_id(0), model_id(9), "none"):
            assert await queries.last_rebalance_date(never) is None
        assert await queries.of_portfolio("P") == tuple(map(model_id, range(6)))
        assert await queries.of_portfolio("P-2") == (model_id(2),)
        for none in ("P-9", "none", "no id", "", "\0"):
            assert await queries.of_portfolio(none) == ()


async def test_what_is_behind_or_unknown_says_so(database_url: str) -> None:
    async with process(database_url) as one:
        await one.store.prepare(INVESTMENT_MODELS)
        queries = InvestmentModels(one.store, one.signals)
        for missing in (MODEL_ID, "portfolio/P", "", "\0", "\ud800", MODEL_ID.upper(), f"{MODEL_ID}\n"):
            with pytest.raises(NotFound):
                await queries.by_id(missing)
        found = await queries.list()
        assert (found.rows, found.total) == ([], 0)
        with pytest.raises(NotYet):
            await queries.by_id(MODEL_ID, at_least=1, wait=0.01)
        with pytest.raises(NotYet):
            await queries.list(at_least=1, wait=0.01)
        with pytest.raises(NotYet):
            await queries.of_portfolio("P", 1, 0.01)
        with pytest.raises(NotYet):
            await queries.last_rebalance_date(MODEL_ID, at_least=1, wait=0.01)
