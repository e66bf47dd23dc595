"""Rows that an event does not name are looked up: whatever stays in memory, the view is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import pytest

import projections.rebuild
from domain.base import Recorded
from domain.portfolio import CashDeposited, CashWithdrawn
from domain.values import EXACT, ZERO
from projections.projector import Projector, Rows
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.store import Row, View
from tests.projections.logs import append, content, process, random_events
from tests.projections.running import running

HOUSE = "house"


class Link(Row, frozen=True, kw_only=True, gc=False):
    """What moved in one portfolio, its last neighbours in the log among it; of the house, which portfolio was last."""

    key: str
    total: Decimal
    last: str = ""


LINKS = View(name="links", row=Link, key="key")


def name_of(recorded: Recorded) -> str:
    return recorded.stream.partition("/")[2]


def apply(rows: Rows[Link], recorded: Recorded) -> None:
    """Add the amount to the portfolio and to the one before, which only the row of the house tells.

    Every seventh event removes the row of the one before.
    """
    name, here = name_of(recorded), recorded.position
    house = rows[HOUSE]
    names = {name} if house is None else {name, house.last}
    for each, row in zip(names, rows.all(names), strict=True):
        total = EXACT.add(row.total if row else ZERO, recorded.event.amount)  # type: ignore[attr-defined]
        rows[each] = None if each != name and here % 7 == 0 else Link(position=here, key=each, total=total)
    rows[HOUSE] = Link(position=here, key=HOUSE, total=ZERO, last=name)


def named(recorded: Recorded) -> Iterable[str]:
    return (name_of(recorded), HOUSE)


def linking(kept: int, keys: Callable[[Recorded], Iterable[str]]) -> Projector[Link]:
    return Projector(view=LINKS, handles=frozenset({CashDeposited, CashWithdrawn}), apply=apply, keys=keys, kept=kept)


@pytest.mark.parametrize("keys", [named, lambda recorded: ()], ids=["named", "unnamed"])
@pytest.mark.parametrize("kept", [0, 3, 5_000])
@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_the_view_is_the_fold_of_the_log_whatever_is_kept_in_memory(
    database_url: str, page_size: int, kept: int, keys: Callable[[Recorded], Iterable[str]]
) -> None:
    projector = linking(kept, keys)
    head = await append(database_url, *random_events(seed=4, count=150, portfolios=12))
    async with process(database_url) as one:
        async with running(one, projector=projector, page_size=page_size):
            await one.store.wait_for(LINKS, head, 60)
        folded = projector.fold({}, await one.history.page(0, 1_000))
        stored = await one.store.get_many(LINKS, folded)
        assert stored.rows == {key: row for key, row in folded.items() if row is not None}
        assert len(await content(database_url, LINKS)) == len(stored.rows)


async def test_a_rebuild_that_lets_go_of_its_rows_makes_the_same_view(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    projector = linking(5_000, lambda recorded: ())
    head = await append(database_url, *random_events(seed=5, count=400, portfolios=30))
    async with process(database_url) as one:
        async with running(one, projector=projector):
            await one.store.wait_for(LINKS, head, 60)
        live = await content(database_url, LINKS)
        for page, dirty, kept in ((20, 10, 5), (50, 1, 0), (5_000, 20_000, 200_000)):
            monkeypatch.setattr(projections.rebuild, "_PAGE", page)
            monkeypatch.setattr(projections.rebuild, "_DIRTY", dirty)
            monkeypatch.setattr(projections.rebuild, "_KEPT", kept)
            compared = await verify(projector, one.history, PostgresBuilder(database_url))
            assert (compared.position, compared.differences) == (head, [])
        monkeypatch.setattr(projections.rebuild, "_PAGE", 20)
        monkeypatch.setattr(projections.rebuild, "_DIRTY", 10)
        monkeypatch.setattr(projections.rebuild, "_KEPT", 5)
        assert (await rebuild(projector, one.history, PostgresBuilder(database_url))).switched
    assert await content(database_url, LINKS) == live
