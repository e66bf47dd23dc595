"""Sending batches where a process dies, at each step that can be seen from outside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from domain.batch import Batch, BatchStatus
from tests.api.outside import ScriptedCli
from tests.write_side.accounting import Died, Steps, desk, load, rows
from tests.write_side.stores import by


async def steps_of_a_run(database_url: str, folder: Path, cli: ScriptedCli | None) -> list[str]:
    """Return every step of a run in which nothing goes wrong."""
    steps = Steps()
    async with desk(database_url, folder, cli, steps=steps) as one:
        await one.record(1, 1)
        await one.sending.send(by())
    return steps.taken


async def test_every_step_of_a_run_is_one_that_a_process_can_die_at(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    assert await steps_of_a_run(database_url, folder, cli) == [
        "before BatchStarted+BatchSequenceBegun+BatchNumbered",
        "after BatchStarted+BatchSequenceBegun+BatchNumbered",
        "before prepare",
        "after prepare",
        "before BatchWritten",
        "after BatchWritten",
        "before publish",
        "after publish",
        "before BatchHandedOver",
        "after BatchHandedOver",
        "before CLI",
        "while CLI runs",
        "after CLI",
        "before BatchSent+BatchSettled",
        "after BatchSent+BatchSettled",
    ]


@pytest.mark.parametrize("step", range(1, 16))
async def test_a_process_may_die_at_any_step_of_a_run_with_a_cli(
    database_url: str, folder: Path, cli: ScriptedCli, step: int
) -> None:
    async with desk(database_url, folder, cli, steps=Steps(step)) as one:
        ids = await one.record(1, 3)
        with pytest.raises(Died):
            await one.sending.send(by())
    async with desk(database_url, folder, cli) as one:
        await one.sending.finish(by())
        late = await one.record(10, 2)
        await one.sending.send(by())
        batches = [await load(one, number) for number in (1, 2) if await one.store.load(Batch, str(number))]
    assert {batch.status for batch in batches} == {BatchStatus.SENT}
    files = dict(cli.given)
    assert all(files[name] == content for name, content in cli.given), "the same name has the same bytes"
    assert Counter(each for content in files.values() for each in rows(content)) == Counter([*ids, *late])
    runs = Counter(name for name, _ in cli.given)
    again = cli.given[0][0] if step == 12 else None  # it died while the CLI ran: only then does it run twice
    assert all(number == (2 if name == again else 1) for name, number in runs.items())
    assert sum(batch.attempts for batch in batches) == len(cli.given) + (step in {10, 11})


@pytest.mark.parametrize("taken", [False, True], ids=["left", "taken at once"])
@pytest.mark.parametrize("step", range(1, 11))
async def test_a_process_may_die_at_any_step_of_a_delivery_by_file(
    database_url: str, folder: Path, step: int, taken: bool
) -> None:
    found: list[bytes] = []

    def consume(path: Path) -> None:
        found.append(path.read_bytes())
        if taken:
            path.unlink()

    async with desk(database_url, folder, None, steps=Steps(step), consume=consume) as one:
        ids = await one.record(1, 3)
        with pytest.raises(Died):
            await one.sending.send(by())
    async with desk(database_url, folder, None, consume=consume) as one:
        await one.sending.finish(by())
        late = await one.record(10, 2)
        await one.sending.send(by())
        assert await one.sending.cut_off() == []
    assert Counter(each for content in found for each in rows(content)) == Counter([*ids, *late])
