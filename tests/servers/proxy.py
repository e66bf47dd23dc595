"""A network between us and a server: forwards bytes, and can lose a reply, be slow, swallow everything, or cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Proxy:
    """Listens on 127.0.0.1 and forwards to the server that ``dial`` connects to.

    ``latency`` are the seconds that every piece of what is sent waits on its way, in both directions. ``swallowed`` are
    the bytes that were sent into the black hole.
    """

    dial: Callable[[], Awaitable[Streams]]
    port: int = 0
    lost_replies: int = 0
    latency: float = 0.0
    swallowed: int = 0
    _lose: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _hole: asyncio.Event | None = None
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _robbed: set[asyncio.StreamWriter] = field(default_factory=set)
    _frozen: set[asyncio.StreamWriter] = field(default_factory=set)
    _thaw: asyncio.Event = field(default_factory=asyncio.Event)

    def lose_next_reply(self) -> None:
        """The next request reaches the server, its reply is thrown away and both sides are cut."""
        self._lose = True

    def cut(self) -> None:
        """Cut every connection that is open now."""
        for writer in list(self._writers):
            writer.close()

    def black_hole(self) -> None:
        """From now on nothing comes through and nobody is told, neither of bytes nor of a close, until `release`.

        New connections are taken, and lead nowhere.
        """
        self._hole = self._hole or asyncio.Event()

    def release(self) -> None:
        """Let everything through again; connections that lost something in the hole are cut."""
        if self._hole is not None:
            self._hole.set()
            self._hole = None
        for writer in self._robbed | self._frozen:
            writer.close()
        self._robbed.clear()
        self._frozen.clear()
        self._thaw.set()

    def freeze(self) -> None:
        """Let what is open stand still and tell of nothing until `release`; new connections lead to the server.

        So it looks after a failover, where the machine of the old server acknowledges what it is sent, and no more.
        """
        self._frozen |= self._writers
        self._thaw.clear()

    async def until_swallowed(self, count: int) -> None:
        """Return as soon as so many bytes are lost in the hole."""
        while self.swallowed < count:
            self._more.clear()
            await self._more.wait()

    async def until_lost(self, count: int) -> None:
        """Return as soon as so many replies are lost."""
        while self.lost_replies < count:
            self._more.clear()
            await self._more.wait()

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
            if self.latency:
                await asyncio.sleep(self.latency)
            if self._hole is not None:
                self.swallowed += len(data)
                self._robbed.add(writer)
                self._more.set()
                continue
            if writer in self._frozen:
                continue
            if reply and self._lose:
                self._lose = False
                self.lost_replies += 1
                self._more.set()
                raise ConnectionResetError("reply lost on purpose")
            writer.write(data)
            await writer.drain()
        if self._hole is not None:
            await self._hole.wait()
        if reply and writer in self._frozen:  # a server that has gone is not told of, a client that leaves has left
            await self._thaw.wait()
        raise ConnectionResetError("closed by its peer")


def to_port(port: int) -> Callable[[], Awaitable[Streams]]:
    """Return what connects to a port of 127.0.0.1, for `proxy_to`."""
    return lambda: asyncio.open_connection("127.0.0.1", port)


def to_socket(database_url: str) -> Callable[[], Awaitable[Streams]]:
    """Return what connects to the Unix socket of this database's server, for `proxy_to`."""
    host = parse_qs(urlsplit(database_url).query)["host"][0]
    return lambda: asyncio.open_unix_connection(f"{host}/.s.PGSQL.5432")


def through(proxy: Proxy, database_url: str) -> str:
    """Return the database's URL by way of the proxy."""
    parts = urlsplit(database_url)
    return f"postgresql://{parts.username}@127.0.0.1:{proxy.port}{parts.path}?gssencmode=disable&sslmode=disable"


@asynccontextmanager
async def proxy_to(dial: Callable[[], Awaitable[Streams]], *, port: int = 0) -> AsyncIterator[Proxy]:
    """Run a proxy to the server that ``dial`` connects to; its port is in ``port``, a free one unless it is given."""
    proxy = Proxy(dial)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", port)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.release()
        proxy.cut()
        server.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 5)
