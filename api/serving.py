"""One process that answers HTTP: uvicorn on a socket that is handed in, stopped by SIGTERM after what is in flight."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from api.protocol import Protocol
from api.running import spare_the_collector, stop_on_signals


class Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: it would end the process before the event log is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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
