"""One process that answers HTTP: uvicorn on a socket that is handed in, stopped by SIGTERM after what is in flight."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from api.protocol import Protocol


class Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: it would end the process before the event log is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def spare_the_collector() -> None:
    """Take what exists out of garbage collection and collect more rarely: pauses were most of the slow answers."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def serve(app: FastAPI, listening: socket.socket, *, shutdown_timeout: int) -> None:
    """Answer until SIGTERM or SIGINT, then finish the requests in flight, for so many seconds at most."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=shutdown_timeout,
    )
    server = Server(config)
    stopping = stop_on_signals()

    async def stop() -> None:
        await stopping.wait()
        server.should_exit = True

    stopper = asyncio.create_task(stop())
    spare_the_collector()
    try:
        await server.serve(sockets=[listening])
    finally:
        stopper.cancel()
