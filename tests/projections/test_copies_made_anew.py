"""A copy that cannot go on is made anew beside the one that is searched; whoever searches sees one or the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from elasticsearch import NotFoundError

from read_side.copies import follower_of
from read_side.tasks import end
from tests.projections.copied import NOTES, Note, World, copying, reached, world
from tests.projections.copy_steps import Held, Steps
from tests.projections.logs import process
from tests.servers.elasticsearch import Elasticsearch


@pytest.fixture
async def notes(database_url: str, elasticsearch: Elasticsearch, index_prefix: str) -> AsyncIterator[World]:
    async with process(database_url) as one, world(one, elasticsearch.url, index_prefix) as made:
        yield made


async def made(notes: World, pages: int = 5) -> int:
    """Have a copy made, and end its copier; return the position it is at."""
    position = await notes.scribble(pages)
    async with copying(notes) as steps:
        await reached(steps, position)
    return position


async def made_anew(notes: World, steps: Steps) -> None:
    """Wait for a new index, and assert that it is the only one and shows the view."""
    await steps.until(lambda: steps.done["switch"] == 1)
    await reached(steps, max(notes.history))
    await notes.same(max(notes.history))
    await only_one(notes, steps)


async def only_one(notes: World, steps: Steps) -> None:
    """Wait until the index before is dropped, and assert that there is no other."""
    await steps.until(lambda: steps.done["sweep"] == 2)
    assert len(await notes.indexes()) == 1


async def test_another_generation_of_the_view_is_another_index(notes: World) -> None:
    await made(notes)
    generation = await notes.rebuilt("rebuilt")
    async with copying(notes) as steps:
        await made_anew(notes, steps)
    assert (await notes.same(0)).generation == generation


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("building", [True, False], ids=["build", "round"])
async def test_a_view_that_is_rebuilt_in_the_middle_of_a_scan(notes: World, number: int, building: bool) -> None:
    if not building:
        await made(notes)
    await notes.scribble(15)
    steps = notes.steps()
    held = Held(steps, "changes", "after", number)
    async with copying(notes, steps):
        async with asyncio.timeout(60):
            await held.reached.wait()
        generation = await notes.rebuilt("rebuilt")
        held.go_on()
        await steps.until(lambda: steps.shown is not None and steps.shown.generation == generation)
        await notes.same(max(notes.history))
    assert {each.generation for each in steps.commits} == {generation}


async def test_a_log_of_another_epoch_is_another_copy(notes: World) -> None:
    await made(notes)
    async with copying(notes) as steps:
        await steps.until(lambda: steps.done["live"] > 1)
        async with notes.one.pool.connection() as connection:
            await connection.execute("update app.log set epoch = gen_random_uuid()")
        await made_anew(notes, steps)
    assert (await notes.same(0)).epoch == await notes.one.history.epoch()


async def test_another_shape_is_another_index(notes: World) -> None:
    position = await made(notes)
    await restate(notes, shape="v0-of-another-program")
    async with copying(notes) as steps:
        await made_anew(notes, steps)
    assert (await notes.same(position)).shape == notes.steps().shape(NOTES)


async def test_a_log_that_is_shorter_than_the_copy_was_restored(notes: World) -> None:
    position = await made(notes)
    await restate(notes, position=position + 1_000, command_id=None)
    async with copying(notes) as steps:
        await made_anew(notes, steps)


async def test_another_event_at_the_position_of_the_copy_was_restored(notes: World) -> None:
    await made(notes)
    await restate(notes, command_id=str(UUID(int=1)))
    async with copying(notes) as steps:
        await made_anew(notes, steps)


async def test_the_same_event_at_the_position_of_the_copy_is_the_same_log(notes: World) -> None:
    position = await made(notes)
    [event] = await notes.one.history.page(position - 1, 1)
    assert (await notes.same(position)).command_id == event.command_id is not None
    async with copying(notes) as steps:
        await reached(steps, await notes.page({"A": "a"}))
    assert steps.done["create"] == 0


async def test_an_index_that_is_deleted_is_made_anew(notes: World) -> None:
    await made(notes)
    async with copying(notes) as steps:
        await steps.until(lambda: steps.done["live"] > 1)
        [name] = await notes.indexes()
        await notes.client.indices.delete(index=name)
        await made_anew(notes, steps)


async def test_an_index_that_is_deleted_in_the_middle_of_a_round_is_not_made_by_writing(notes: World) -> None:
    await made(notes)
    await notes.scribble(5)
    steps = notes.steps()
    held = Held(steps, "write", "before")
    async with copying(notes, steps):
        async with asyncio.timeout(60):
            await held.reached.wait()
        [name] = await notes.indexes()
        await notes.client.indices.delete(index=name)
        held.go_on()
        await made_anew(notes, steps)


async def test_an_alias_that_points_elsewhere_is_taken_back_and_what_is_not_ours_is_left(notes: World) -> None:
    await made(notes)
    [ours] = await notes.indexes()
    other = f"{notes.prefix}-somebody-else"
    await notes.client.indices.create(index=other)
    async with copying(notes) as steps:
        await steps.until(lambda: steps.done["live"] > 1)
        await notes.client.indices.update_aliases(
            actions=[
                {"remove": {"index": ours, "alias": notes.alias}},
                {"add": {"index": other, "alias": notes.alias}},
            ]
        )
        await steps.until(lambda: steps.done["switch"] == 1 and steps.done["sweep"] == 2)
        await notes.same(0)
    left = await notes.indexes()
    assert (other in left, ours in left, len(left)) == (True, False, 2)


async def test_an_alias_of_two_indexes_is_given_to_one(notes: World) -> None:
    await made(notes)
    other = f"{notes.prefix}-somebody-else"
    await notes.client.indices.create(index=other, aliases={notes.alias: {}})
    async with copying(notes) as steps:
        await steps.until(lambda: steps.done["switch"] == 1)
        await notes.same(0)


async def test_an_index_with_the_name_of_the_alias_is_told_and_left(notes: World) -> None:
    await notes.client.indices.create(index=notes.alias)
    position = await notes.page({"A": "a"})
    async with copying(notes) as steps:
        await notes.until_stopped("must be an alias: delete it")
        await notes.client.indices.delete(index=notes.alias)
        await reached(steps, position)
        await notes.until_running()
        await notes.same(position)


async def test_a_checkpoint_that_is_deleted_means_a_new_copy(notes: World) -> None:
    await made(notes)
    [name] = await notes.indexes()
    await notes.client.delete(index=name, id="checkpoint", refresh=True)
    async with copying(notes) as steps:
        await made_anew(notes, steps)


async def test_an_older_checkpoint_is_where_the_copy_goes_on(notes: World) -> None:
    position = await made(notes)
    await restate(notes, position=min(notes.history), command_id=None)
    async with copying(notes) as steps:
        await reached(steps, position)
        await notes.same(position)
        assert steps.done["create"] == 0
        await restate(notes, position=min(notes.history), command_id=None)
        position = await notes.scribble(1)
        await reached(steps, position)
        await notes.same(position)


async def test_an_operator_has_a_copy_made_anew_while_everybody_searches(notes: World) -> None:
    position = await made(notes)
    seen: list[tuple[int, dict[str, Note]]] = []

    async def searching() -> None:
        while True:
            checkpoints, rows = await notes.shown()
            assert len(checkpoints) == 1
            assert not checkpoints[0].writing
            seen.append((checkpoints[0].position, rows))

    async with copying(notes, grace=3.0) as steps:
        await steps.until(lambda: steps.done["live"] > 1)
        reader = asyncio.create_task(searching())
        try:
            for _ in range(5):
                switched = steps.done["switch"]
                await notes.followers.anew(follower_of(NOTES))
                position = await notes.scribble(2)
                await steps.until(lambda: steps.done["switch"] > switched)  # noqa: B023
                await reached(steps, position)
            swept = steps.done["sweep"]
            await steps.until(lambda: steps.done["sweep"] > swept)
        finally:
            searched = reader.done()
            await end(reader)
        assert not searched, reader.exception()
        await notes.same(position)
        checkpoint = steps.shown
        assert checkpoint is not None
        assert checkpoint.build == 6
    positions = [place for place, _ in seen]
    assert positions == sorted(positions)
    for place, rows in seen:
        assert rows == notes.history[place]


async def test_a_live_copy_goes_on_while_another_is_made(notes: World) -> None:
    await made(notes)
    steps = notes.steps()
    async with copying(notes, steps):
        await steps.until(lambda: steps.done["live"] > 1)
        held = Held(steps, "write", "after", steps.done["write"] + 1)
        build = await notes.followers.anew(follower_of(NOTES))
        async with asyncio.timeout(60):
            await held.reached.wait()
        position = await notes.scribble(3)
        held.go_on()
        old: list[bool] = []
        await steps.until(lambda: steps.shown is not None and steps.shown.position >= position)
        old.append(steps.shown is not None and steps.shown.build < build)
        await steps.until(lambda: steps.shown is not None and steps.shown.build == build)
        await notes.same(position)
    assert old == [True]


async def test_nobody_makes_what_no_one_leads(notes: World) -> None:
    with pytest.raises(NotFoundError):
        await notes.shown()
    assert await notes.indexes() == set()


async def restate(notes: World, **members: object) -> None:
    """Change the checkpoint in the index by hand."""
    [name] = await notes.indexes()
    found = await notes.client.get(index=name, id="checkpoint")
    changed = {"checkpoint": {**found["_source"]["checkpoint"], **members}}
    await notes.client.index(index=name, id="checkpoint", document=changed, refresh=True)
