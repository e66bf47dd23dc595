"""Operators' commands on views: where they stand, made anew, compared with the log, past an event they cannot take."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from api import logs
from api.cli.failing import Failed, sentences
from api.embedded import running
from api.settings import Settings, read_settings
from domain.errors import NotFound
from projections.copy_checks import Compared
from projections.rebuild import Rebuilt
from read_side.copies import PREFIX
from read_side.store import View as AnyView

T = TypeVar("T")
View = Annotated[str, typer.Argument(help="Name of the view, for example portfolios.")]
ViewOrCopy = Annotated[str, typer.Argument(help="Name of the view, or of a search copy: copy/transactions.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded servers to join (DATA_DIR, .data).")]


@sentences
def views(data_dir: DataDir = None) -> None:
    """Show where each view stands against the log."""
    from api.bootstrap.operating import operating

    async def show(settings: Settings) -> Table:
        table = Table("view", "position", "lag, events", "lag, seconds", "state", box=None, pad_edge=False)
        async with operating(settings) as parts:
            for lag in await parts.views.lags():
                state = f"stopped: {lag.error}" if lag.stopped else "running"
                table.add_row(lag.view, f"{lag.position:,}", f"{lag.events:,}", f"{lag.seconds:.1f}", state)
        return table

    Console().print(on_database(show, data_dir))


@sentences
def rebuild(view: ViewOrCopy, data_dir: DataDir = None) -> None:
    """Make a view anew from the whole log, beside the live one, and switch; readers notice nothing.

    A search copy is made anew from its view, by the process that keeps it.
    """
    from api.bootstrap.operating import operating
    from api.bootstrap.registry import projector
    from projections.rebuild import rebuild as rebuild_view

    if view.startswith(PREFIX):
        _rebuild_copy(view, data_dir)
        return

    async def make(settings: Settings) -> Rebuilt:
        found = projector(view)
        async with operating(settings) as parts:
            return await rebuild_view(found, parts.history, parts.builder)

    _say(on_database(make, data_dir))


@sentences
def verify(view: ViewOrCopy, data_dir: DataDir = None) -> None:
    """Make a view anew and compare it byte for byte with the live one; exit code 1 when they differ.

    A search copy is compared with its view, every document with every row.
    """
    from api.bootstrap.operating import operating
    from api.bootstrap.registry import projector
    from projections.rebuild import verify as verify_view

    if view.startswith(PREFIX):
        _verify_copy(view, data_dir)
        return

    async def compare(settings: Settings) -> Rebuilt:
        found = projector(view)
        async with operating(settings) as parts:
            return await verify_view(found, parts.history, parts.builder)

    done = on_database(compare, data_dir)
    _say(done)
    if done.differences is None:
        raise Failed(f"view {view} could not be compared: it is not where the log is, see `views`")
    if done.differences:
        for difference in done.differences:
            print(f"  {difference}")
        raise Failed(f"view {view} differs from the log in {len(done.differences)} rows or more: rebuild it")
    print("  no difference")


@sentences
def park(
    view: View,
    position: Annotated[int, typer.Argument(min=1, help="Position of the event in the log.")],
    reason: Annotated[str, typer.Option(help="Why; it stays on record with your name.")],
    data_dir: DataDir = None,
) -> None:
    """Tell a projection that has stopped to pass over the event it has stopped at."""
    from api.bootstrap.operating import operating
    from api.bootstrap.registry import projector

    async def tell(settings: Settings) -> None:
        found = projector(view)
        async with operating(settings) as parts:
            lag = next(each for each in await parts.views.lags() if each.view == found.view.name)
            if not lag.stopped:
                raise Failed(f"{view} has not stopped: only the event at which a projection stands can be passed over")
            parked, stands_at = await parts.views.parked(found.view), lag.position + 1
            while stands_at in parked:
                stands_at += 1
            if position != stands_at:
                raise Failed(f"{view} has stopped at position {stands_at}, not at {position}: {lag.error}")
            await parts.views.park(found.view, position, reason=reason, actor=_operator())

    on_database(tell, data_dir)
    print(f"{view}: the event at position {position} is passed over")


def _operator() -> str:
    """Return who runs this: a name, or the number of a user without an account, as containers have them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _rebuild_copy(name: str, data_dir: Path | None) -> None:
    from api.bootstrap.operating import operating
    from projections.copy_checks import rebuild_copy

    async def make(settings: Settings) -> str:
        view = _copied(name)
        async with operating(settings) as parts:
            made = await rebuild_copy(view, _there(parts.indexes), parts.followers, parts.views)
        return f"{name}: build {made.build} is searched, at position {made.position:,}"

    print(on_database(make, data_dir))


def _verify_copy(name: str, data_dir: Path | None) -> None:
    from api.bootstrap.operating import operating
    from projections.copy_checks import verify_copy

    async def compare(settings: Settings) -> Compared:
        view = _copied(name)
        async with operating(settings) as parts:
            return await verify_copy(view, parts.changes, parts.views, _there(parts.indexes))

    done = on_database(compare, data_dir)
    print(f"{name}: {done.rows:,} rows compared in {done.seconds:.2f} s")
    if done.differences:
        for each in done.differences:
            print(f"  {each.key}: {each.what}")
        raise Failed(f"{name} differs from its view in {len(done.differences)} rows or more: rebuild it")
    print("  no difference")


def _copied(name: str) -> AnyView[Any]:
    """Return the view that this is the copy of; raises ``NotFound``."""
    from api.bootstrap.registry import projector

    view = projector(name.removeprefix(PREFIX)).view
    if not view.copied:
        raise NotFound(f"view {view.name} has no search copy")
    return view


def _there(indexes: T | None) -> T:
    if indexes is None:
        raise Failed("ELASTICSEARCH_URL is not set: there are no search copies")
    return indexes


def on_database(command: Callable[[Settings], Awaitable[T]], data_dir: Path | None) -> T:
    """Run a command on the database that is set, else on the embedded one that runs on the data folder."""
    if data_dir is not None:
        os.environ["DATA_DIR"] = str(data_dir)
    settings = read_settings()
    logs.configure("WARNING", settings.log_format.value, stream=sys.stderr)
    if settings.database_url is None:
        addresses = running(settings.data_dir)
        if addresses is None or addresses.database_url is None:
            raise Failed(
                f"nothing runs on {settings.data_dir.absolute()}: start `./run serve`, or say where it runs with "
                f"DATABASE_URL or --data-dir (for the demo: --data-dir {Path('.data/demo').absolute()})"
            )
        settings = settings.model_copy(update={"database_url": addresses.database_url})

    async def main() -> T:
        return await command(settings)

    return asyncio.run(main())


def _say(done: Rebuilt) -> None:
    verb = "rebuilt and switched" if done.switched else "rebuilt beside the live one"
    print(f"{done.view}: {done.position:,} events, {verb} in {done.seconds:.2f} s")
