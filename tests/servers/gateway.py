"""One address in front of processes that take commands and processes that are asked; for tests only.

What is asked goes to the ones, everything else to the others, in turn. A process that cannot be connected to is passed
over; one that ends before it has answered too, for questions. Nothing else is sent twice: whoever sent a command whose
process ends finds the connection cut, as behind any proxy. Heads and bodies go through as they are.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

import uvloop

ASKED = frozenset({"/api/v1/rebalances/search"})
"""Paths that are asked by POST."""
_LIMIT = 65_536
_PIECE = 65_536
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Cut(Exception):
    """A peer has gone."""


@dataclass
class Gateway:
    """Listens on ``port`` from ``start`` to ``stop``, in a thread of its own; both are lists of ports of 127.0.0.1."""

    commands: Sequence[int]
    queries: Sequence[int]
    port: int = 0
    resting: set[int] = field(default_factory=set)
    """Ports of processes that are not ready, as probes tell a proxy; they are tried when no other is left."""
    instead: Callable[[bytes], bytes | None] = lambda _: None
    """What is answered to a request with this target, a whole answer, in the place of the processes; None: they are."""
    _turns: count[int] = field(default_factory=count)
    _serving: set[asyncio.Task[None] | None] = field(default_factory=set)
    """Held here: nothing else holds a task whose client has closed its side."""
    _loop: asyncio.AbstractEventLoop | None = None
    _stopping: asyncio.Event | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen."""
        listens = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listens,), name="gateway", daemon=True)
        self._thread.start()
        assert listens.wait(60)

    def stop(self) -> None:
        """Cut all connections and end; nothing if it was not started."""
        if self._loop is None or self._stopping is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(60)
        self._loop = self._stopping = self._thread = None

    def _run(self, listens: threading.Event) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listens))

    async def _serve(self, listens: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", self.port, limit=_LIMIT, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        listens.set()
        await self._stopping.wait()
        server.close()  # what is being served ends with the loop

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request of a client after the other; its connections to processes are kept as long as it stays."""
        kept: dict[int, Streams] = {}
        task = asyncio.current_task()
        self._serving.add(task)
        try:
            while head := await _head(reader):
                if not await self._exchange(head, reader, writer, kept):
                    break
        except (OSError, _Cut):
            pass  # the client sees it: its connection ends without an answer, or in the middle of one
        finally:
            for _, far in kept.values():
                far.transport.abort()
            writer.close()
            self._serving.discard(task)

    async def _exchange(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: dict[int, Streams]
    ) -> bool:
        """Take one request to a process and its answer back; return whether the client's connection goes on."""
        method, target = head.split(b" ", 2)[:2]
        asked = method in (b"GET", b"HEAD") or target.partition(b"?")[0].decode("latin-1") in ASKED
        request = _Message(head)
        if (answer := self.instead(target)) is not None:
            await request.read(reader)
            writer.write(answer)
            await writer.drain()
            return True
        body = await request.read(reader) if asked else None
        for port in self._in_turn(self.queries if asked else self.commands):
            try:
                far_reader, far_writer = await _connected(port, kept)
            except OSError:
                continue  # nothing was sent: the next one
            sending = asyncio.create_task(_send(far_writer, head, body, request, reader))
            try:
                answered = await _answer(far_reader)
            except (OSError, _Cut):
                del kept[port]
                far_writer.transport.abort()
                if asked:
                    continue
                raise
            else:
                while answered.status < 200:  # 100 Continue
                    writer.write(answered.head)
                    answered = await _answer(far_reader)
                writer.write(answered.head)
                await answered.forward(far_reader, writer, without=method == b"HEAD")
                goes_on = sending.done() and not sending.exception() and request.stays and answered.stays
                if not goes_on:
                    kept.pop(port)
                    far_writer.transport.abort()
                return goes_on
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError, OSError, _Cut):
                    await sending
        raise _Cut

    def _in_turn(self, ports: Sequence[int]) -> list[int]:
        first = next(self._turns) % len(ports)
        return sorted([*ports[first:], *ports[:first]], key=self.resting.__contains__)


class _Message:
    """The head of a request or an answer, and what it says of the body."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        lines = [line.partition(b":") for line in head.lower().split(b"\r\n")[1:]]
        headers = {name: value.strip() for name, _, value in lines}
        self.stays = headers.get(b"connection") != b"close"
        self.chunked = b"chunked" in headers.get(b"transfer-encoding", b"")
        self.length = int(headers[b"content-length"]) if b"content-length" in headers else None
        self.status = 0

    async def forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, without: bool = False
    ) -> None:
        """Hand on the body as it comes; ``without`` for an answer that has none whatever its head says."""
        if without or self.status in (204, 304):
            pass
        elif self.chunked:
            await _chunks(reader, writer)
        elif self.length is not None:
            await _bytes(reader, writer, self.length)
        elif self.status:
            self.stays = False  # an answer that ends with its connection
            while piece := await reader.read(_PIECE):
                writer.write(piece)
                await writer.drain()
        await writer.drain()

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """Return the whole body of a question: it may have to be asked again."""
        assert not self.chunked, "a question comes in one piece"
        return await reader.readexactly(self.length or 0)


async def _connected(port: int, kept: dict[int, Streams]) -> Streams:
    """Return the connection to a process, the one that there is or a new one."""
    if port in kept and (kept[port][0].at_eof() or kept[port][1].is_closing()):
        _, far = kept.pop(port)
        far.transport.abort()
    if port not in kept:
        kept[port] = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
    return kept[port]


async def _send(
    far: asyncio.StreamWriter, head: bytes, body: bytes | None, request: _Message, reader: asyncio.StreamReader
) -> None:
    """Send a request; the body while it comes, unless it is there already."""
    far.write(head)
    if body is None:
        await request.forward(reader, far)
    else:
        far.write(body)
        await far.drain()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Return what comes up to the body, nothing at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise _Cut from error
        return b""


async def _answer(reader: asyncio.StreamReader) -> _Message:
    head = await _head(reader)
    if not head:
        raise _Cut
    message = _Message(head)
    message.status = int(head.split(b" ", 2)[1])
    return message


async def _bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
    while count:
        piece = await reader.read(min(count, _PIECE))
        if not piece:
            raise _Cut
        count -= len(piece)
        writer.write(piece)
        await writer.drain()


async def _chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            line = await reader.readuntil(b"\r\n")
            writer.write(line)
            size = int(line.partition(b";")[0], 16)
            await _bytes(reader, writer, size)
            writer.write(await reader.readuntil(b"\r\n"))
            if not size:
                return
    except asyncio.IncompleteReadError as error:
        raise _Cut from error
