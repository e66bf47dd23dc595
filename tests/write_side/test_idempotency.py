"""A key makes a command happen once, over all callers and processes, and gives the first answer again."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from domain.errors import (
    KeyInFlight,
    KeyReused,
    NotFound,
)
from domain.portfolio import Portfolio
from tests.write_side.stores import by, event_store, once


async def test_twenty_equal_keys_at_once_are_one_effect(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        await one.open("A")
        stores = [one, other] * 10
        results = await asyncio.gather(
            *(store.move("A", "1", context=once("key-1")) for store in stores), return_exceptions=True
        )
        done = [result for result in results if not isinstance(result, BaseException)]
        assert done
        assert all(isinstance(result, KeyInFlight) for result in results if isinstance(result, BaseException))
        assert {(result.position, result.version) for result in done} == {(2, 2)}
        assert {result.answer.body for result in done if result.answer} == {b"1"}
        assert await one.cash("A") == Decimal(1)
        again = await other.move("A", "1", context=once("key-1"))
        assert again.replayed
        assert again.answer is not None
        assert (again.position, again.version, again.answer.body) == (2, 2, b"1")


async def test_a_key_is_looked_at_before_refusals_and_if_match(database_url: str) -> None:
    async with event_store(database_url) as one:
        first = await one.open("A", context=once("open"))
        again = await one.open("A", context=once("open"))
        assert again.replayed
        assert again.position == first.position
        context = once("move")
        await one.move("A", "1", context=by(expected_version=1, remember=context.remember))
        again = await one.move("A", "1", context=by(expected_version=1, remember=context.remember))
        assert again.replayed
        with pytest.raises(KeyReused, match="'move' was used before"):
            await one.move("A", "1", context=once("move", b"another request"))
        with pytest.raises(KeyReused):
            await one.open("B", context=once("move", b"another request"))
        assert (await one.move("A", "1", context=once("move", caller="somebody else"))).version == 3


async def test_refusals_are_not_remembered(database_url: str) -> None:
    async with event_store(database_url) as one:
        with pytest.raises(NotFound):
            await one.move("A", "1", context=once("early"))
        await one.open("A")
        assert not (await one.move("A", "1", context=once("early"))).replayed


async def test_an_accepted_command_that_changes_nothing_is_remembered_too(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("A", "5")
        for replayed in (False, True):
            done = await one.store.change(
                Portfolio, "A", lambda portfolio: None, once("nothing"), missing=lambda: NotFound("A")
            )
            assert (done.position, done.version, done.replayed) == (1, 1, replayed)
        assert await one.log.head() == 1


async def test_cancelled_callers_do_no_harm(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("A")
        tasks = [asyncio.create_task(one.move("A", "1", context=once(f"k{number}"))) for number in range(30)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        done = [result for result in results if not isinstance(result, BaseException)]
        assert len(done) >= 20
        again = [await one.move("A", "1", context=once(f"k{number}")) for number in range(30)]
        assert await one.cash("A") == Decimal(30)
        assert sum(result.replayed for result in again) >= len(done)
