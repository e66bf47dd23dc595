"""The bytes of a view are a function of the log alone: whatever the pages, and also when made anew."""

from __future__ import annotations

import pytest

from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.portfolio import PORTFOLIOS
from tests.projections.logs import append, content, process, random_events
from tests.projections.running import running


@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_incremental_is_rebuilt_byte_for_byte(database_url: str, page_size: int) -> None:
    events = random_events(seed=3, count=700, portfolios=40)
    head = await append(database_url, *events)
    async with process(database_url) as one:
        async with running(one, page_size=page_size):
            await one.store.wait_for(PORTFOLIOS, head, 60)
        incremental = await content(database_url, PORTFOLIOS)
        assert len(incremental) == 40
        builder = PostgresBuilder(database_url)
        compared = await verify(PORTFOLIO_PROJECTOR, one.history, builder)
        assert (compared.position, compared.differences, compared.switched) == (head, [], False)
        rebuilt = await rebuild(PORTFOLIO_PROJECTOR, one.history, builder)
        assert (rebuilt.position, rebuilt.switched) == (head, True)
    assert await content(database_url, PORTFOLIOS) == incremental


async def test_pages_of_any_size_make_the_same_rows(database_url: str) -> None:
    events = random_events(seed=11, count=300, portfolios=9)
    await append(database_url, *events)
    async with process(database_url) as one:
        recorded = await one.history.page(0, 1_000)
    made = []
    for size in (1, 7, 2_000):
        rows: dict[str, object] = {}
        for first in range(0, len(recorded), size):
            rows.update(PORTFOLIO_PROJECTOR.fold(rows, recorded[first : first + size]))  # type: ignore[arg-type]
        made.append({key: PORTFOLIOS.encode(row) for key, row in rows.items()})  # type: ignore[arg-type]
    assert made[0] == made[1] == made[2]


async def test_a_row_read_back_has_the_same_bytes(database_url: str) -> None:
    await append(database_url, *random_events(seed=5, count=50, portfolios=5))
    async with process(database_url) as one:
        rows = PORTFOLIO_PROJECTOR.fold({}, await one.history.page(0, 100))
    for row in rows.values():
        assert row is not None
        assert PORTFOLIOS.encode(PORTFOLIOS.decode(PORTFOLIOS.encode(row))) == PORTFOLIOS.encode(row)
