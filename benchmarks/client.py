"""A cheap HTTP/1.1 client: prepared request bytes over kept connections, so that the server is what is measured."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast


@dataclass
class Load:
    """What a load did: seconds of every request, how often each status came, and how long it all took."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests answered a second."""
        return len(self.latencies) / self.seconds

    def merge(self, other: Load) -> None:
        """Add another load that ran at the same time."""
        self.latencies += other.latencies
        self.statuses += other.statuses
        self.seconds = max(self.seconds, other.seconds)


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._need = -1
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            start = self._buffer.lower().index(b"content-length:") + 15
            self._need = end + 4 + int(self._buffer[start : self._buffer.index(b"\r\n", start)])
        if len(self._buffer) >= self._need and self._answer is not None:
            answer, self._buffer, self._need = bytes(self._buffer), bytearray(), -1
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed by the server"))

    async def ask(self, request: bytes) -> bytes:
        """Return the whole answer to these request bytes, headers and body."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def get(path: str, **headers: str) -> bytes:
    """Return the bytes of a GET."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """Return the bytes of a POST with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def header(answer: bytes, name: str) -> str:
    """Return a header of the answer."""
    lower = answer.lower()
    start = lower.index(f"\r\n{name.lower()}:".encode()) + len(name) + 3
    return answer[start : answer.index(b"\r\n", start)].decode().strip()


async def connect(port: int) -> Connection:
    """Open a connection to the server on this machine."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def load(
    port: int, connections: int, seconds: float, request: Callable[[int, int], bytes], *, pause: float = 0.0
) -> Load:
    """Send ``request(connection, number)`` over each connection for so long, with a pause between two if asked."""
    result = Load()
    stop = time.perf_counter() + seconds

    async def one(number: int) -> None:
        connection = await connect(port)
        count = 0
        while (began := time.perf_counter()) < stop:
            answer = await connection.ask(request(number, count))
            result.latencies.append(time.perf_counter() - began)
            result.statuses[int(answer[9:12])] += 1
            count += 1
            if pause:
                await asyncio.sleep(max(0.0, pause - (time.perf_counter() - began)))
        connection.close()

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(connections):
            tasks.create_task(one(number))
    result.seconds = time.perf_counter() - started
    return result
