"""Commands on models: a name is one live model's whoever asks at the same time, and no stale memory decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from domain.base import Event
from domain.errors import AlreadyExists, Invalid, NotFound, Refused, StaleVersion, VersionConflict
from domain.investment_model import InvestmentModel, LastPortfolio, ModelName
from tests.domain.models import BOND, TECH, position
from tests.write_side.stores import NOW, Store, by, event_store
from write_side.event_store import Done
from write_side.investment_model import (
    AddPortfolios,
    AddPosition,
    ChangePosition,
    CreateModel,
    DeleteModel,
    RemovePortfolio,
    RemovePosition,
    ReplaceModel,
    model_id_of,
)
from write_side.log import ANY_VERSION, Answer, Context, Remember


async def create(one: Store, name: str, context: Context | None = None) -> Done[InvestmentModel]:
    command = CreateModel(name=name, positions=(position(),), portfolios=("P-1",))
    return await command.handle(one.store, context or by(), now=NOW)


async def made(one: Store, name: str) -> str:
    """Create a model and return its id."""
    context = by()
    await create(one, name, context)
    return model_id_of(context)


async def rename(one: Store, model_id: str, name: str, version: int | None = None, **conditions: Any) -> Any:
    command = ReplaceModel(model_id=model_id, name=name, positions=(position(),), portfolios=("P-1",), version=version)
    return await command.handle(one.store, by(**conditions), now=NOW)


async def delete(one: Store, model_id: str) -> Any:
    return await DeleteModel(model_id=model_id).handle(one.store, by(), now=NOW)


async def owner(one: Store, name: str) -> str | None:
    """Return the model that has the name, as the log has it."""
    reservation = await one.store.load(ModelName, name)
    return None if reservation is None else reservation.model_id


async def consistent(one: Store, *model_ids: str) -> None:
    """Check that every live model has its name, and no other name is one's."""
    names = {}
    for stream in await streams(one, "model-name/"):
        reservation = await one.store.load(ModelName, stream.removeprefix("model-name/"))
        assert reservation is not None
        if reservation.model_id is not None:
            names[reservation.key] = reservation.model_id
    live = {}
    for model_id in model_ids:
        model = await one.store.load(InvestmentModel, model_id)
        assert model is not None
        if not model.deleted:
            live[model.name] = model_id
    assert names == live


async def streams(one: Store, prefix: str) -> set[str]:
    page = await one.log.page(0, 10_000)
    return {recorded.stream for recorded in page if recorded.stream.startswith(prefix)}


async def outcomes(*commands: Coroutine[Any, Any, Any]) -> list[type[Any]]:
    """Run them at once and return what became of each."""
    return [type(each) for each in await asyncio.gather(*commands, return_exceptions=True)]


async def test_a_model_and_its_name_are_one_append(database_url: str) -> None:
    async with event_store(database_url) as one:
        context = by()
        done = await create(one, " Größe / 1 ", context)
        assert (done.version, done.position) == (1, 2)
        assert done.aggregate is not None
        assert done.aggregate.model_id == context.command_id.hex[:24]
        assert await owner(one, "Größe / 1") == done.aggregate.model_id
        with pytest.raises(Invalid):
            await create(one, "nul\0")
        with pytest.raises(AlreadyExists, match="is taken by model"):
            await create(one, "Größe / 1")
        assert (await create(one, "größe / 1")).position == 4


async def test_names_are_taken_and_released_with_the_model(database_url: str) -> None:
    async with event_store(database_url) as one:
        first, second = await made(one, "a"), await made(one, "b")
        with pytest.raises(AlreadyExists):
            await rename(one, first, "b")
        assert (await rename(one, first, "c")).version == 2
        assert (await rename(one, second, "a")).version == 2
        assert (await rename(one, second, "a")).version == 2
        assert [await owner(one, name) for name in "abc"] == [second, None, first]
        await delete(one, first)
        third = await made(one, "c")
        await consistent(one, first, second, third)
        for act in (delete(one, first), rename(one, first, "d"), delete(one, "0" * 24), rename(one, "0" * 24, "d")):
            with pytest.raises(NotFound, match="does not exist"):
                await act
        assert await owner(one, "d") is None


async def test_a_condition_and_a_version_are_kept_if_match_first(database_url: str) -> None:
    async with event_store(database_url) as one:
        with pytest.raises(StaleVersion) as caught:
            await create(one, "a", by(expected_version=ANY_VERSION))
        assert caught.value.current == 0
        model_id = await made(one, "a")
        await made(one, "b")
        for conditions in ({"expected_version": 2}, {"expected_version": 2, "version": 2}):
            with pytest.raises(StaleVersion, match="is at version 1") as caught:
                await rename(one, model_id, "b", **conditions)
            assert type(caught.value) is StaleVersion
        with pytest.raises(VersionConflict, match="is at version 1, the request expects version 2"):
            await rename(one, model_id, "b", 2, expected_version=1)
        assert (await rename(one, model_id, "c", 1, expected_version=1)).version == 2
        assert (await rename(one, model_id, "d", 2, expected_version=ANY_VERSION)).version == 3
        with pytest.raises(VersionConflict):
            await DeleteModel(model_id=model_id, version=2).handle(one.store, by(), now=NOW)
        await DeleteModel(model_id=model_id, version=3).handle(one.store, by(expected_version=3), now=NOW)
        for version in (1, 4, ANY_VERSION):
            with pytest.raises(NotFound):
                await rename(one, model_id, "e", expected_version=version)


async def test_positions_and_portfolios(database_url: str) -> None:
    async with event_store(database_url) as one:
        model_id = await made(one, "a")

        async def then(command: Any) -> int:
            done = await command.handle(one.store, by(), now=NOW)
            return int(done.version)

        assert await then(AddPosition(model_id=model_id, position=position(BOND, "1"))) == 2
        assert await then(ChangePosition(model_id=model_id, position=position(BOND, "2"), version=2)) == 3
        assert await then(ChangePosition(model_id=model_id, position=position(BOND, "2"))) == 3
        assert await then(RemovePosition(model_id=model_id, security_id=TECH)) == 4
        assert await then(AddPortfolios(model_id=model_id, portfolios=("P-1", "P-2"))) == 5
        assert await then(RemovePortfolio(model_id=model_id, portfolio_id="P-1")) == 6
        assert await then(RemovePortfolio(model_id=model_id, portfolio_id="P-1")) == 6
        with pytest.raises(LastPortfolio):
            await then(RemovePortfolio(model_id=model_id, portfolio_id="P-2"))
        for refused in (AddPosition, ChangePosition):
            with pytest.raises(VersionConflict):
                await then(refused(model_id=model_id, position=position(BOND, "1"), version=5))


@pytest.mark.parametrize("processes", [1, 2])
async def test_of_twenty_who_take_a_name_at_once_one_gets_it(database_url: str, processes: int) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        stores = [one, other][:processes] * (20 // processes)
        found = await outcomes(*(create(store, "wanted") for store in stores))
        assert sorted(each.__name__ for each in found) == ["AlreadyExists"] * 19 + ["Done"]
        assert len(await streams(one, "model/")) == 1


@pytest.mark.parametrize("processes", [1, 2])
async def test_renames_across_each_other_end_and_leave_every_name_with_its_model(
    database_url: str, processes: int
) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        stores = [one, other][:processes]
        first, second = await made(one, "a"), await made(stores[-1], "b")
        for _ in range(10):
            moves: list[Callable[[Store], Coroutine[Any, Any, Any]]] = [
                lambda store: rename(store, first, "b"),
                lambda store: rename(store, second, "a"),
                lambda store: rename(store, first, "c"),
                lambda store: rename(store, second, "c"),
            ]
            found = await outcomes(
                *(move(stores[number % processes]) for number, move in enumerate(moves)),
            )
            assert set(found) <= {Done, AlreadyExists}
            assert Done in found
            await consistent(one, first, second)


async def test_two_names_cannot_be_swapped_in_one_step_and_nobody_waits_for_ever(database_url: str) -> None:
    async with event_store(database_url) as one:
        first, second = await made(one, "a"), await made(one, "b")
        found = await outcomes(rename(one, first, "b"), rename(one, second, "a"))
        assert found == [AlreadyExists, AlreadyExists]


async def test_a_stale_memory_of_models_and_names_never_decides(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        first = await made(one, "a")
        await delete(one, first)  # `one` remembers that a is free
        second = await made(other, "a")
        with pytest.raises(AlreadyExists):
            await create(one, "a")
        await rename(other, second, "b")
        third = await made(one, "a")  # which `one` remembers as taken
        await consistent(one, first, second, third)
        await delete(other, third)
        fourth = await made(one, "a")
        await rename(other, fourth, "c")
        await rename(one, fourth, "a")  # `one` remembers the model as a, and a as its own
        await consistent(one, first, second, third, fourth)
        await rename(other, fourth, "d")
        await delete(one, fourth)
        await consistent(one, first, second, third, fourth)


async def test_a_name_remembered_as_free_is_freed_with_a_model_that_is_new_here(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        first = await made(one, "a")
        await rename(one, first, "b")  # `one` remembers that a is free
        second = await made(other, "a")
        await delete(one, second)  # a model that `one` has never seen
        assert await owner(one, "a") is None
        third = await made(other, "a")
        await rename(one, third, "c")
        await consistent(one, first, second, third)


async def test_many_at_once_in_two_processes_leave_every_name_with_its_model(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        models = [await made(one, name) for name in "abc"]
        for number in range(6):
            acts = []
            for store in (one, other):
                acts += [rename(store, model, "abcdef"[(place * 2 + number) % 6]) for place, model in enumerate(models)]
                acts.append(create(store, "abcdef"[number]))
            for found in await asyncio.gather(*acts, return_exceptions=True):
                assert isinstance(found, Done | AlreadyExists), found
            models = [stream.removeprefix("model/") for stream in sorted(await streams(one, "model/"))]
            await consistent(one, *models)


async def test_a_key_gives_the_first_model_again_whatever_has_become_of_it(database_url: str) -> None:
    async def answer(model: InvestmentModel, events: Sequence[Event]) -> Answer:
        return Answer(201, model.model_id.encode())

    def keyed() -> Context:
        return by(remember=Remember(caller="tester", key="k", fingerprint=b"f", answer=answer))

    async with event_store(database_url) as one, event_store(database_url) as other:
        first = await create(one, "a", keyed())
        again = await create(other, "a", keyed())
        assert first.answer == again.answer
        assert (again.replayed, again.version, again.position) == (True, 1, 2)
        await delete(other, first.answer.body.decode() if first.answer else "")
        third = await create(one, "a", keyed())
        assert (third.replayed, third.answer) == (True, first.answer)
        assert len(await streams(one, "model/")) == 1


@pytest.mark.parametrize("name", ["", "x" * 201, "a\0", "\ud800"])
async def test_a_name_that_cannot_be_is_no_stream(database_url: str, name: str) -> None:
    async with event_store(database_url) as one:
        model_id = await made(one, "a")
        with pytest.raises(Refused) as refused:
            await rename(one, model_id, name)
        assert isinstance(refused.value, Invalid)
