"""A server of ours in this process, on a socket: what is sent arrives in the pieces in which it is sent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from api.protocol import Protocol

PATIENCE = 30
"""Seconds after which an answer that does not come fails a test."""


class Watched(Protocol):
    """The protocol of the server, which tells what has arrived."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config, ServerState(), {})
        self.taken = 0
        self.ended = False
        self.news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.taken += len(data)
        self.news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ended = True
        self.news.set()


@dataclass
class Answer:
    """One answer as it was read; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Line:
    """One connection to the server."""

    protocol: Watched
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent: int = 0

    async def send(self, *pieces: bytes) -> None:
        """Send the pieces, each when the one before it has been read, until the server closes."""
        async with asyncio.timeout(PATIENCE):
            for piece in pieces:
                if self.protocol.ended:
                    return
                self.writer.write(piece)
                self.sent += len(piece)
                while self.protocol.taken < self.sent and not self.protocol.ended:
                    self.protocol.news.clear()
                    await self.protocol.news.wait()

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """Return the next answer; a ``bodiless`` one is that to a HEAD."""
        async with asyncio.timeout(PATIENCE):
            first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = 0 if bodiless else int(headers.get("content-length", 0))
            return Answer(int(first.split(" ")[1]), headers, await self.reader.readexactly(length))

    async def end(self) -> bytes:
        """Return what comes until the server closes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()


@asynccontextmanager
async def connected(app: ASGIApp) -> AsyncIterator[Line]:
    """Serve this application on one connection."""
    config = uvicorn.Config(app, http=Protocol, ws="none", lifespan="off", access_log=False, log_config=None)
    ours, theirs = socket.socketpair()
    _, protocol = await asyncio.get_running_loop().connect_accepted_socket(lambda: Watched(config), theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        yield Line(protocol, reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
        protocol.transport.abort()


@dataclass
class Echo:
    """An application that says what it was asked, once all of it is there; ``gate`` holds its answers back."""

    heard: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[bytes, bytes]] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.heard.append((scope["method"], scope["path"], body))
        self.headers.append(dict(scope["headers"]))
        if self.gate is not None:
            await self.gate.wait()
        said = f"{scope['method']} {scope['path']} {len(body)}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
        await send({"type": "http.response.body", "body": said})


def request(method: str, path: str, body: bytes = b"", *, headers: Iterable[str] = ()) -> bytes:
    """Return a request with the length of its body."""
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, *length, "", ""]).encode() + body


def chunked(method: str, path: str, *chunks: bytes, headers: Iterable[str] = (), trailers: Iterable[str] = ()) -> bytes:
    """Return a request whose body is sent in chunks."""
    head = [f"{method} {path} HTTP/1.1", "Host: x", *headers, "Transfer-Encoding: chunked", "", ""]
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return "\r\n".join(head).encode() + body + "\r\n".join(["0", *trailers, "", ""]).encode()
