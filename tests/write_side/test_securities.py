"""Names of securities: first names and others by one command, also for several callers at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.errors import Invalid, StaleVersion
from domain.securities import Security
from tests.write_side.stores import NOW, Store, by, event_store
from write_side.event_store import Done
from write_side.log import ANY_VERSION
from write_side.securities import NameSecurity


async def name(one: Store, text: str, security_id: str = "AAPL", **conditions: Any) -> Done[Security]:
    command = NameSecurity(security_id=security_id, ticker="AAPL", name=text)
    return await command.handle(one.store, by(**conditions), now=NOW)


async def test_first_names_other_names_and_the_same_again(database_url: str) -> None:
    async with event_store(database_url) as one:
        assert (await name(one, "Apple Computer")).version == 1
        assert (await name(one, "Apple Inc.")).version == 2
        again = await name(one, " Apple Inc. ")
        assert (again.version, again.position) == (2, 2)
        with pytest.raises(Invalid):
            await name(one, "")


@pytest.mark.parametrize("processes", [1, 2])
async def test_all_who_give_the_first_names_at_once_succeed(database_url: str, processes: int) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        stores = [one, other][:processes] * (12 // processes)
        done = await asyncio.gather(*(name(store, f"Name {number}") for number, store in enumerate(stores)))
        assert sorted(each.version for each in done) == list(range(1, 13))
        assert len(await one.log.read(Security.stream("AAPL"))) == 12


async def test_a_condition_holds_for_first_names_too(database_url: str) -> None:
    async with event_store(database_url) as one:
        for version in (1, ANY_VERSION):
            with pytest.raises(StaleVersion) as caught:
                await name(one, "Apple", expected_version=version)
            assert caught.value.current == 0
        await name(one, "Apple")
        with pytest.raises(StaleVersion):
            await name(one, "Other", expected_version=2)
        assert (await name(one, "Other", expected_version=1)).version == 2
        assert (await name(one, "Third", expected_version=ANY_VERSION)).version == 3
