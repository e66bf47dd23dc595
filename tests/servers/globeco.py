"""A small real HTTP server with the GlobeCo services' paths, that fails in the ways it is told to."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote


@dataclass
class Globeco:
    """What the services know, by path; ``answers`` are given before that, in order, whatever is asked.

    An answer is a status with a body (bytes as they are, anything else as JSON), or ``None``: no answer at all until
    the server ends; so are the paths in ``silent``. ``asked`` are the paths of all questions.
    """

    known: dict[str, Any] = field(default_factory=dict)
    answers: deque[tuple[int, Any] | None] = field(default_factory=deque)
    silent: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    most_at_once: int = 0
    port: int = 0
    _open: int = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def holds(self, portfolio_id: str, cash: Any, **quantities: Any) -> None:
        """Let a portfolio have this cash and these quantities."""
        securities = [{"securityId": name, "netQuantity": quantity} for name, quantity in quantities.items()]
        self.known[f"/api/v1/portfolios/{portfolio_id}/summary"] = {
            "portfolioId": portfolio_id,
            "cashBalance": cash,
            "securities": securities,
        }

    def lists(self, security_id: str, ticker: str, close: Any) -> None:
        """Let a security have this ticker and price."""
        self.known[f"/api/v1/security/{security_id}"] = {"securityId": security_id, "ticker": ticker}
        self.known[f"/api/v1/price/{ticker}"] = {"ticker": ticker, "close": close}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the questions of one connection."""
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                path = request.split(b" ", 2)[1].decode()
                self.asked.append(path)
                self._open += 1
                self.most_at_once = max(self.most_at_once, self._open)
                await asyncio.sleep(0)
                told = None if path in self.silent else self.answers.popleft() if self.answers else self._of(path)
                self._open -= 1
                if told is None:
                    await reader.read()
                    break
                status, body = told
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(content), content))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left, as clients do
        finally:
            writer.close()

    def _of(self, path: str) -> tuple[int, Any]:
        known = self.known.get(unquote(path))
        return (404, {"detail": "not found"}) if known is None else (200, known)


@asynccontextmanager
async def globeco() -> AsyncIterator[Globeco]:
    """Serve on a free port of 127.0.0.1."""
    services = Globeco()
    server = await asyncio.start_server(services.answer, "127.0.0.1", 0)
    services.port = server.sockets[0].getsockname()[1]
    try:
        yield services
    finally:
        server.close()
