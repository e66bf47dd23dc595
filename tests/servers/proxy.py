"""A network between us and a server: forwards bytes, and can lose a reply, hold everything, or cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Proxy:
    """Listens on 127.0.0.1 and forwards to the server that ``dial`` connects to."""

    dial: Callable[[], Awaitable[Streams]]
    port: int = 0
    lost_replies: int = 0
    _lose: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def lose_next_reply(self) -> None:
        """The next request reaches the server, its reply is thrown away and both sides are cut."""
        self._lose = True

    def cut(self) -> None:
        """Cut every connection that is open now."""
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await self.dial()
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._forward(reader, far_writer, reply=False))
                tasks.create_task(self._forward(far_reader, writer, reply=True))
        except* OSError:
            pass
        finally:
            self._writers -= {writer, far_writer}
            writer.close()
            far_writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reply: bool) -> None:
        while data := await reader.read(65536):
            if reply and self._lose:
                self._lose = False
                self.lost_replies += 1
                raise ConnectionResetError("reply lost on purpose")
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("closed by its peer")


@asynccontextmanager
async def proxy_to(dial: Callable[[], Awaitable[Streams]]) -> AsyncIterator[Proxy]:
    """Run a proxy to the server that ``dial`` connects to; its port is in ``port``."""
    proxy = Proxy(dial)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.cut()
        server.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 5)
