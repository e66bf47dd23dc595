"""``serve``: the whole application, or one of its roles."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
import uvloop
from rich.console import Console

from api import logs
from api.cli.failing import Failed, sentences
from api.embedded import Addresses, EmbeddedServers
from api.running import spare_the_collector, stop_on_signals
from api.security.keys import Keys
from api.settings import Settings, is_loopback, read_settings
from api.supervisor import Child, listen, supervise
from domain.errors import FoliologError

_AGAIN = 2.0
_SWITCH = 0.0005
"""Seconds after which a projection that folds a large page in a thread lets another one go on."""

log = structlog.get_logger(__name__)


class Role(StrEnum):
    """What one process does."""

    ALL = "all"
    HTTP = "http"
    COMMANDS = "commands"
    QUERIES = "queries"
    PROJECTOR = "projector"
    WORKER = "worker"
    RELAY = "relay"


@sentences
def serve(
    role: Annotated[Role, typer.Option(help="What this process does; all: everything, in several.")] = Role.ALL,
    host: Annotated[str | None, typer.Option(help="Address to listen on (HOST, 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on (PORT, 8080).")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the embedded servers (DATA_DIR, .data).")] = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="An inherited socket that listens.")] = None,
    make_topic: Annotated[bool, typer.Option(help="The relay makes its topic, as `migrate` does.")] = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished."""
    for name, value in {"HOST": host, "PORT": port, "DATA_DIR": data_dir}.items():
        if value is not None:
            os.environ[name] = str(value)
    settings = read_settings()
    logs.configure(settings.log_level, settings.log_format.value)
    match role:
        case Role.ALL:
            serve_all(settings)
        case Role.PROJECTOR:
            _run(_project(settings))
        case Role.WORKER:
            _run(_work(settings))
        case Role.RELAY:
            _run(_relay(settings, make_topic=make_topic))
        case _:
            listening = socket.socket(fileno=fd) if fd is not None else _listen(settings)
            commands, queries = role is not Role.QUERIES, role is not Role.COMMANDS
            _run(_answer(settings, listening, commands=commands, queries=queries))


def _run(main: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


async def _answer(settings: Settings, listening: socket.socket, *, commands: bool, queries: bool) -> None:
    from api import serving
    from api.app import create_app
    from api.bootstrap.answering import http

    async with http(settings, commands=commands, queries=queries) as deps:
        await serving.serve(create_app(deps), listening, shutdown_timeout=settings.shutdown_timeout)


async def _project(settings: Settings) -> None:
    from api.bootstrap.projecting import projections
    from read_side.tasks import end

    stopping = stop_on_signals()
    sys.setswitchinterval(_SWITCH)
    async with projections(settings) as runners:
        tasks = [asyncio.create_task(runner.run()) for runner in runners]
        spare_the_collector()
        await _until(stopping, tasks)
        await asyncio.gather(*(end(task) for task in tasks))


async def _work(settings: Settings) -> None:
    from api.bootstrap.working import working

    stopping = stop_on_signals()
    async with working(settings) as workers:
        for worker in workers:
            worker.start()
        spare_the_collector()
        await stopping.wait()
        await asyncio.gather(*(worker.close(settings.shutdown_timeout) for worker in workers))


async def _relay(settings: Settings, *, make_topic: bool) -> None:
    from api.bootstrap.relaying import relaying
    from read_side.tasks import end

    stopping = stop_on_signals()
    async with relaying(settings) as relay:
        making = asyncio.create_task(_make_topic(settings)) if make_topic else None
        task = asyncio.create_task(relay.run())
        spare_the_collector()
        await _until(stopping, [task])
        await end(making)
        await end(task)


async def _until(stopping: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the end, and raise what has ended one of these before: they go on for ever, or the process does not."""
    stopped = asyncio.create_task(stopping.wait())
    ended, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in ended - {stopped}:
        task.result()


async def _make_topic(settings: Settings) -> None:
    """Make the topic of a server that has no `migrate`, as soon as Kafka is there."""
    from api.bootstrap.kafka import prepare_topic

    while True:
        try:
            for line in await prepare_topic(settings):
                log.info(line)
        except FoliologError as error:
            log.warning("the topic cannot be made yet", error=str(error))
            await asyncio.sleep(_AGAIN)
        else:
            return


def serve_all(
    settings: Settings, *, ready: Callable[[int], None] = lambda _: None, until: Callable[[], bool] = lambda: False
) -> None:
    """Serve with everything that it takes, until SIGTERM or SIGINT or until ``until`` says so.

    ``ready`` is called with the port once all has been started, which is before it answers.
    """
    from migrations import migrate

    def announce() -> None:
        port = listening.getsockname()[1]
        _banner(settings, port, keys)
        ready(port)

    keys = settings.read_keys()
    with ExitStack() as stack:
        listening = stack.enter_context(_listen(settings))
        servers, addresses = None, Addresses(settings.database_url, settings.redis_url)
        if settings.database_url is None or settings.redis_url is None:
            servers = EmbeddedServers(
                settings.data_dir, postgres=settings.database_url is None, redis=settings.redis_url is None
            )
            started = stack.enter_context(servers).addresses
            addresses = Addresses(
                settings.database_url or started.database_url, settings.redis_url or started.redis_url
            )
        environment = {
            "DATABASE_URL": addresses.database_url or "",
            "REDIS_URL": addresses.redis_url or "",
            "DATA_DIR": str(settings.data_dir.absolute()),
        }
        migrate(environment["DATABASE_URL"])
        number = listening.fileno()
        children = [
            Child("http", ["serve", "--role", "http", "--fd", str(number)], environment, (number,)),
            Child("projector", ["serve", "--role", "projector"], environment),
            Child("worker", ["serve", "--role", "worker"], environment, needed=False),
        ]
        if settings.kafka_bootstrap_servers is not None:
            children.append(Child("relay", ["serve", "--role", "relay", "--make-topic"], environment, needed=False))
        supervise(
            servers,
            children,
            listening,
            stop_within=settings.shutdown_timeout + 15,
            ready=announce,
            until=until,
        )


def _listen(settings: Settings) -> socket.socket:
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        raise Failed(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}): stop what does, or choose "
            "another with --port or PORT"
        ) from error


def _banner(settings: Settings, port: int, keys: Keys | None) -> None:
    """Say what runs, with which parts, and what to try."""
    console = Console(stderr=True, highlight=False)
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    own = "embedded, data in " + str(settings.data_dir.resolve())
    database = "DATABASE_URL" if settings.database_url else own
    console.print(f"\n[bold]Foliolog[/bold] on http://{shown}:{port}  (routes: /docs, health: /readyz)", soft_wrap=True)
    console.print(f"  event log and views  PostgreSQL, {database}", soft_wrap=True)
    console.print(f"  hot state            Valkey/Redis, {'REDIS_URL' if settings.redis_url else 'embedded'}")
    if settings.elasticsearch_url is not None:
        console.print("  search               Elasticsearch, ELASTICSEARCH_URL")
    if settings.kafka_bootstrap_servers is not None:
        console.print(
            f"  published to         Kafka, KAFKA_BOOTSTRAP_SERVERS, topic {settings.kafka_topic}", soft_wrap=True
        )
    if keys is not None:
        console.print(f"  API keys: {len(keys)} ({', '.join(keys.names)})", soft_wrap=True, emoji=False)
    elif is_loopback(settings.host):
        console.print("  no API keys: anyone on this machine may do anything")
    else:
        console.print("  [bold red]ALLOW_ANONYMOUS: anyone who reaches this address can do anything[/bold red]")
    console.print("  Ctrl-C stops it.\n")
