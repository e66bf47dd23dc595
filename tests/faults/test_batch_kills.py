"""kill -9 of whoever sends a batch, at each of its steps: it goes out all the same, once, with the same bytes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import pytest

from domain.batch import BatchHandedOver, BatchSent, BatchStarted, BatchWritten
from tests.faults.brake import brake, counted, streams
from tests.faults.senders import Senders, senders
from tests.journeys.desk import told
from tests.journeys.fills import Fill, reported
from tests.journeys.office import SEND, Office, ended, newest, sent
from tests.servers.application import Application, application

HTTP, WORKER, POSTMASTER = "--role http", "--role worker", "bin/postgres -D"
COMMAND: Final = "send-executions"


@dataclass(frozen=True)
class Due:
    """Executions that go out with the next batch, and its number."""

    number: int
    ids: list[int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("batches")


@pytest.fixture(scope="module")
def office(folder: Path) -> Office:
    return Office(folder / "office")


@pytest.fixture(scope="module")
def app(folder: Path, office: Office) -> Iterator[Application]:
    with application(folder, SHUTDOWN_TIMEOUT="2", **office.environment) as app:
        yield app


@pytest.fixture(scope="module")
async def forking(app: Application, office: Office) -> AsyncIterator[Senders]:
    async with senders(app, office) as found:
        yield found


@pytest.fixture
async def http(app: Application) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=app.url, timeout=60) as http:
        yield http


@pytest.fixture
async def due(http: httpx2.AsyncClient, office: Office) -> AsyncIterator[Due]:
    """Three executions that are to be sent; afterwards everything is in its one file, and new ones go out as ever."""
    first = 10 * (1 + max(office.lines(), default=0))
    ids, position = await reported(http, [Fill(first + each, "NOBODY") for each in range(3)])
    yield Due(1 + await newest(http, int(position)), list(ids))
    later, _ = await reported(http, [Fill(first + 3, "NOBODY")])
    last = told(await sent(http))
    assert (last["processedCount"], last["message"]) == (1, "1 execution sent in 1 batch")
    assert later.keys() <= office.lines().keys()
    assert office.booked() == sorted(office.lines())


Kill = Callable[[], Awaitable[None]]
Begin = Callable[[str], Awaitable[Kill]]


@pytest.fixture
def begin(app: Application, http: httpx2.AsyncClient, forking: Senders) -> Begin:
    """Lets a process begin to send, by HTTP or by command, and returns what kills it."""

    async def by(who: str) -> Kill:
        if who is COMMAND:
            pid = await forking.begin()

            async def kill_command() -> None:
                os.kill(pid, signal.SIGKILL)

            return kill_command
        asking = asyncio.create_task(http.post(SEND))

        async def kill_http() -> None:
            os.kill(await asyncio.to_thread(app.child, HTTP), signal.SIGKILL)
            with pytest.raises(httpx2.TransportError):
                await asking

        return kill_http

    return by


@pytest.mark.parametrize(
    ("topic", "stored", "who", "attempts"),
    [
        pytest.param(BatchStarted.TOPIC, False, COMMAND, 1, id="before it is begun"),
        pytest.param(BatchStarted.TOPIC, True, COMMAND, 1, id="once it is begun"),
        pytest.param(BatchWritten.TOPIC, False, COMMAND, 1, id="with a file that is prepared"),
        pytest.param(BatchWritten.TOPIC, True, COMMAND, 1, id="before its file is published"),
        pytest.param(BatchHandedOver.TOPIC, False, COMMAND, 1, id="once its file is published"),
        pytest.param(BatchHandedOver.TOPIC, True, HTTP, 2, id="before the CLI is started"),
        pytest.param(BatchSent.TOPIC, False, COMMAND, 1, id="before the end of the CLI is recorded"),
        pytest.param(BatchSent.TOPIC, True, COMMAND, 1, id="once the end of the CLI is recorded"),
    ],
)
async def test_a_batch_goes_out_once_after_kill_9_of_its_sender(
    topic: str,
    stored: bool,
    who: str,
    attempts: int,
    due: Due,
    begin: Begin,
    app: Application,
    http: httpx2.AsyncClient,
    office: Office,
) -> None:
    async with brake(app, topic, await counted(app, topic)) as held:
        kill = await begin(who)
        await held.reached()
        await kill()
        await held.let_go(stored=stored)
    if topic == BatchStarted.TOPIC and not stored:
        assert f"batch/{due.number}" not in await streams(app, "batch")
        assert told(await sent(http))["processedCount"] == len(due.ids)
    office.judge(await ended(http, due.number), due.ids, attempts=attempts)


@pytest.mark.parametrize(
    ("who", "place", "words"),
    [
        pytest.param(HTTP, "before", (), id="with nothing booked"),
        pytest.param(COMMAND, "after", (), id="with all booked"),
        pytest.param(COMMAND, "before", ("--stubborn",), id="which does not end when it is asked to"),
    ],
)
async def test_kill_9_of_the_sender_ends_the_cli_before_it_runs_again(
    who: str,
    place: str,
    words: tuple[str, ...],
    due: Due,
    begin: Begin,
    http: httpx2.AsyncClient,
    office: Office,
) -> None:
    async with office.held(place, *words) as held:
        kill = await begin(who)
        await held.reached()
        assert (set(due.ids) <= set(office.booked())) is (place == "after")
        await kill()
        await held.gone()
    office.judge(await ended(http, due.number), due.ids, attempts=2, runs=2)


async def test_kill_9_of_the_worker_that_finishes_a_batch_leaves_it_to_the_next_one(
    due: Due, begin: Begin, app: Application, http: httpx2.AsyncClient, office: Office
) -> None:
    async with office.held() as first:
        kill = await begin(COMMAND)
        await first.reached()
        async with office.held() as second:
            await kill()
            await first.gone()
            await second.reached()
            os.kill(await asyncio.to_thread(app.child, WORKER), signal.SIGKILL)
            await second.gone()
    office.judge(await ended(http, due.number), due.ids, attempts=3, runs=3)


@pytest.mark.parametrize("asked", [True, False], ids=["sigterm", "kill -9"])
async def test_a_run_that_the_end_of_the_application_cuts_off_is_finished_at_the_next_start(
    asked: bool, due: Due, app: Application, http: httpx2.AsyncClient, office: Office
) -> None:
    async with office.held() as held:
        asking = asyncio.create_task(http.post(SEND))
        await held.reached()
        if asked:
            assert await asyncio.to_thread(app.stop) == 0
        else:
            await asyncio.to_thread(app.kill)
        await held.gone()
        with suppress(httpx2.TransportError):
            answer = await asking
            assert (answer.status_code, answer.json()["status"]) == (503, 503), answer.text
    await asyncio.to_thread(app.start)
    office.judge(await ended(http, due.number), due.ids, attempts=2, runs=2)


async def test_kill_9_of_postgresql_while_the_cli_runs_neither_loses_its_end_nor_runs_it_again(
    due: Due, app: Application, http: httpx2.AsyncClient, office: Office
) -> None:
    async with office.held("after") as held:
        asking = asyncio.create_task(http.post(SEND))
        await held.reached()
        os.kill(await asyncio.to_thread(app.child, POSTMASTER), signal.SIGKILL)
        held.let_go()
        await held.gone()
        answer = await asking
        assert answer.status_code in (200, 503), answer.text
    office.judge(await ended(http, due.number), due.ids)


@pytest.mark.parametrize("topic", [BatchStarted.TOPIC, BatchWritten.TOPIC, BatchSent.TOPIC])
async def test_kill_9_of_postgresql_while_a_step_is_recorded_loses_nothing(
    topic: str, due: Due, app: Application, http: httpx2.AsyncClient, office: Office
) -> None:
    async with brake(app, topic, await counted(app, topic)) as held:
        asking = asyncio.create_task(http.post(SEND))
        await held.reached()
        os.kill(await asyncio.to_thread(app.child, POSTMASTER), signal.SIGKILL)
    answer = await asking
    assert answer.status_code in (200, 503), answer.text
    await sent(http)  # where it was not begun
    office.judge(await ended(http, due.number), due.ids)
