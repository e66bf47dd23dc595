"""What goes wrong in Elasticsearch stops a copy, is told, and is made good once it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from projections.copy_checks import Compared, rebuild_copy, verify_copy
from read_side.adapters import elasticsearch_documents as documents
from read_side.tasks import end
from tests.projections.copied import NOTES, World, copying, reached, world
from tests.projections.copy_steps import PATIENCE, Held
from tests.projections.logs import Process, process
from tests.servers.elasticsearch import Elasticsearch


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Process]:
    async with process(database_url) as made:
        yield made


@pytest.fixture
async def notes(one: Process, elasticsearch: Elasticsearch, index_prefix: str) -> AsyncIterator[World]:
    async with world(one, elasticsearch.url, index_prefix) as made:
        yield made


async def test_elasticsearch_is_killed_in_a_round(one: Process, own_elasticsearch: Elasticsearch) -> None:
    async with world(one, own_elasticsearch.url, "own") as notes:
        steps = notes.steps()
        async with copying(notes, steps):
            await reached(steps, await notes.scribble(5))
            held = Held(steps, "begin", "after", steps.done["begin"] + 1)
            await notes.scribble(5)
            async with asyncio.timeout(60):
                await held.reached.wait()
            await asyncio.to_thread(own_elasticsearch.kill)
            held.go_on()
            await notes.until_stopped("Elasticsearch cannot be reached")
            position = await notes.scribble(2)
            await asyncio.to_thread(own_elasticsearch.start)
            await reached(steps, position)
            await notes.until_running()
            await notes.same(position)
        assert steps.done["create"] == 1


async def test_a_row_that_is_refused_stops_the_copy_until_somebody_mends_it(
    notes: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = documents.computed(NOTES)
    del narrow["mappings"]["properties"]["search"]["properties"]["figure"]
    with monkeypatch.context() as patched:
        patched.setattr(documents, "computed", lambda _: narrow)
        async with copying(notes) as steps:
            await reached(steps, await notes.page({"A": "odd"}))
            position = await notes.page({"B": "even"})
            await notes.until_stopped("row 'B': strict_dynamic_mapping_exception")
            [checkpoint], rows = await notes.shown()
            assert rows == notes.history[checkpoint.position]
            await notes.client.indices.put_mapping(
                index=notes.alias, properties={"search": {"properties": {"figure": {"type": "keyword"}}}}
            )
            await reached(steps, position)
            await notes.until_running()
            await notes.same(position)
    async with copying(notes) as steps:  # a corrected program makes another index
        await steps.until(lambda: steps.done["switch"] == 1)
        await notes.same(position)


async def test_a_key_that_is_too_long_is_named(notes: World) -> None:
    longest = "é" * 254
    async with copying(notes) as steps:
        position = await notes.page({longest: "fits"})
        await reached(steps, position)
        await notes.same(position)
        await notes.page({longest + "!": "does not"})
        await notes.until_stopped("view notes has a key of 509 bytes, 508 are the most that a copy takes: 'éé")
        position = await notes.page({longest + "!": None})
        await reached(steps, position)
        await notes.until_running()
        await notes.same(position)


async def test_a_copy_is_compared_with_its_view_while_both_go_on(notes: World) -> None:
    async with copying(notes) as steps:
        await reached(steps, await notes.scribble(10))
        writer = asyncio.create_task(scribbles(notes))
        try:
            for _ in range(3):
                compared = await verify(notes)
                assert (compared.differences, compared.copy) == ([], "copy/notes")
                assert compared.rows > 0
        finally:
            await end(writer)


async def test_a_comparison_finds_every_difference(notes: World) -> None:
    async with copying(notes) as steps:
        names = ("missing", "gone", "older", "other", "searched", "extra", "same")
        await reached(steps, await notes.page(dict.fromkeys(names, "first")))
        await reached(steps, await notes.page({**dict.fromkeys(names, "seconds"), "extra": None}))
    [index] = await notes.indexes()
    found = await notes.client.mget(index=index, ids=[f"row/{name}" for name in names])
    held = {each["_source"]["key"]: each["_source"] for each in found["docs"]}
    held["extra"] = {**held["same"], "key": "extra"}
    held["gone"] = {"key": "gone", "position": held["gone"]["position"], "gone": True}
    held["older"]["position"] -= 1
    held["other"]["row"]["word"] = "another"
    held["searched"]["search"]["text"] = "another"
    await notes.client.delete(index=index, id="row/missing")
    for key in ("extra", "gone", "older", "other", "searched"):
        await notes.client.index(index=index, id=f"row/{key}", document=held[key], refresh=True)
    compared = await verify(notes)
    assert {each.key: each.what.split(" of ")[0] for each in compared.differences} == {
        "missing": "the copy has no such row",
        "gone": "the copy has no such row",
        "older": "it is",
        "other": "it has other content",
        "searched": "it is searched by other values",
        "extra": "the view has no such row",
    }
    async with copying(notes) as steps:
        await steps.until(lambda: steps.done["live"] > 1)
        made = await rebuild_copy(NOTES, steps, notes.followers, notes.one.store)
        assert made.build == 2
    assert (await verify(notes)).differences == []


async def scribbles(notes: World) -> None:
    while True:
        await notes.scribble(1)


async def verify(notes: World) -> Compared:
    steps = notes.steps()
    return await verify_copy(NOTES, steps, notes.one.store, steps, patience=PATIENCE)
