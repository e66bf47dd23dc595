"""Several aggregates at once: loaded by few queries as the log has them now, and changed all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import cast

import pytest

from domain.base import Aggregate
from domain.errors import NotFound, RuleViolated, StaleVersion
from domain.portfolio import Portfolio
from tests.write_side.stores import NOW, by, event_store, moved, once
from tests.write_side.test_snapshots import snapshot_version

Decide = Callable[[Sequence[Aggregate | None]], Sequence[Aggregate]]
BOTH: Sequence[tuple[type[Aggregate], str]] = [(Portfolio, "A"), (Portfolio, "B")]


def transfer(amount: str) -> Decide:
    """Return what takes an amount from A and gives it to B, which both have to be there."""

    def decide(found: Sequence[Aggregate | None]) -> Sequence[Aggregate]:
        if None in found:
            raise NotFound("A or B does not exist")
        giver, taker = cast("list[Portfolio]", list(found))
        if giver.cash < Decimal(amount):
            raise RuleViolated(f"A has {giver.cash}")
        giver.update([moved(f"-{amount}")], NOW, now=NOW)
        taker.update([moved(amount)], NOW, now=NOW)
        return [giver, taker]

    return decide


async def test_many_are_loaded_from_cache_snapshots_and_the_log_alike(database_url: str) -> None:
    async with event_store(database_url, snapshot_every=5) as one, event_store(database_url) as other:
        names = [f"P{number}" for number in range(30)]
        for name in names:
            await one.open(name, "1")
        for _ in range(6):
            await one.move("P0", "1")
        assert await snapshot_version(one, database_url) == 5
        await other.move("P1", "10")
        for store in (one.store, other.store):
            found = await store.load_many(Portfolio, [*names, "nobody", "P0"])
            assert list(found) == names
            assert [found[name].cash for name in names[:3]] == [Decimal(7), Decimal(11), Decimal(1)]
            assert found["P0"].version == 7
            assert found["P1"] == await store.load(Portfolio, "P1")
        assert await one.store.load_many(Portfolio, []) == {}
        await one.move("P1", "1")
        assert await other.cash("P1") == Decimal(12)


async def test_several_are_changed_all_or_none(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("A", "10")
        with pytest.raises(NotFound):
            await one.store.change_all(BOTH, transfer("1"), by())
        await one.open("B")
        done = await one.store.change_all(BOTH, transfer("4"), by())
        assert (done.version, done.position) == (2, 4)
        with pytest.raises(RuleViolated, match="A has 6"):
            await one.store.change_all(BOTH, transfer("7"), by())
        with pytest.raises(StaleVersion):
            await one.store.change_all(BOTH, transfer("1"), by(expected_version=1))
        assert [await one.cash("A"), await one.cash("B")] == [Decimal(6), Decimal(4)]


async def test_a_stale_cache_neither_refuses_nor_changes(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        await one.open("A", "10")
        await one.open("B")
        await one.store.change_all(BOTH, transfer("10"), by())
        await other.move("A", "5")
        await one.store.change_all(BOTH, transfer("5"), by())
        await other.move("B", "1")
        await other.move("A", "2")
        await one.store.change_all(BOTH, transfer("2"), by())
        assert [await one.cash("A"), await one.cash("B")] == [Decimal(0), Decimal(18)]


async def test_crossing_changes_of_two_processes_all_happen(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        await one.open("A", "100")
        await one.open("B", "100")
        there = [one.store.change_all(BOTH, transfer("1"), by()) for _ in range(20)]
        back = [other.store.change_all([(Portfolio, "B"), (Portfolio, "A")], transfer("2"), by()) for _ in range(20)]
        await asyncio.gather(*there, *back)
        assert [await one.cash("A"), await one.cash("B")] == [Decimal(120), Decimal(80)]


async def test_a_key_makes_several_change_once(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("A", "10")
        await one.open("B")
        first = await one.store.change_all(BOTH, transfer("10"), once("k"))
        again = await one.store.change_all(BOTH, transfer("10"), once("k"))
        assert (first.replayed, again.replayed) == (False, True)
        assert again.position == first.position
        assert [await one.cash("A"), await one.cash("B")] == [Decimal(0), Decimal(10)]
