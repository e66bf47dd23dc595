"""The operator's way to send executions to accounting: once, as a job of a scheduler, or again and again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from api.cli.failing import sentences
from api.cli.views import DataDir, on_database
from api.running import stop_on_signals
from api.settings import Settings

if TYPE_CHECKING:
    from domain.batch import Batch
    from write_side.batch import Sending

IN_PROGRESS = 3
"""Exit code where another run is sending batches: nothing is wrong."""

Every = Annotated[
    int | None,
    typer.Option(min=1, max=604_800, metavar="SECONDS", help="Go on and send every so many seconds, until stopped."),
]


@sentences
def send_executions(every: Every = None, data_dir: DataDir = None) -> None:
    """Send executions to accounting: what has failed first, then what is in no batch yet.

    Exit code 0: all is sent, or there was nothing; 1: something failed, and goes first next time; 3: another run is
    sending. With --every it tells what fails and goes on.
    """
    from api.bootstrap.sending import sender

    async def run(settings: Settings) -> int:
        async with sender(settings) as sending:
            return await (_once(sending) if every is None else again_and_again(sending, every))

    if code := on_database(run, data_dir):
        raise typer.Exit(code)


async def _once(sending: Sending) -> int:
    from write_side.batch import BatchInProgress
    from write_side.log import Context

    try:
        sent = await sending.send(Context(actor="send-executions", correlation_id=str(uuid4())))
    except BatchInProgress as error:
        print(f"nothing is sent: {error}")
        return IN_PROGRESS
    _tell(sent)
    return 0


async def again_and_again(sending: Sending, every: int) -> int:
    """Send at once and then every so many seconds from the first time on; a run that takes longer lets some pass.

    What fails or is refused is told: others may heal it, and the next time it may go well. Returns 0 when asked to end.
    """
    from domain.errors import NotDelivered, Refused, Unavailable

    stopping = stop_on_signals()
    clock = asyncio.get_running_loop().time
    began = clock()
    while not stopping.is_set():
        run = asyncio.ensure_future(_once(sending))
        stopped = asyncio.ensure_future(stopping.wait())
        await asyncio.wait([run, stopped], return_when=asyncio.FIRST_COMPLETED)
        try:
            if not run.done():
                await asyncio.wait([run], timeout=30)
            if not run.done():
                run.cancel()
            await run
        except (NotDelivered, Refused, Unavailable) as error:
            print(f"foliolog: {error}", flush=True)
        except asyncio.CancelledError:
            print("foliolog: the run is stopped; its batch goes on at the next start", flush=True)
        stopped.cancel()
        rest = every - (clock() - began) % every
        try:
            async with asyncio.timeout(rest):
                await stopping.wait()
        except TimeoutError:
            continue
    return 0


def _tell(sent: list[Batch]) -> None:
    for batch in sent:
        executions = f"{batch.count} execution{'' if batch.count == 1 else 's'}"
        rejected = f", {len(batch.rejected)} rejected" if batch.rejected else ""
        how = "taken by the accounting CLI" if batch.by_cli else "the file is the delivery"
        print(f"batch {batch.batch_id}: {executions} in {batch.file_name}, {how}{rejected}", flush=True)
    if not sent:
        print("no executions to send", flush=True)
