"""Clients that never give up: every command is sent with its key until it is answered, and every answer is kept."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from decimal import Decimal

import httpx2

BODY = '{"timestamp":"2025-06-21T10:00:00Z","updates":[{"transaction_type":"DEP","quantity_change":1.01}]}'


@dataclass
class Traffic:
    """Deposits into one portfolio per client, and what was answered: key -> position."""

    url: str
    clients: int = 8
    name: str = "T"
    """What the ids of the portfolios begin with."""
    rest: float = 0.0
    """Seconds between the answer of a command and the next one of the same client."""
    answered: dict[str, int] = field(default_factory=dict)
    retried: int = 0
    cut: int = 0
    """Requests whose connection ended before their answer."""
    stopping: bool = False
    problems: list[str] = field(default_factory=list)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def open(self) -> None:
        """Open the portfolios."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=60) as http:
            for client in range(self.clients):
                body = {"portfolio_id": f"{self.name}{client}", "portfolio_name": "Traffic"}
                assert (await http.post("/api/v1/portfolios", json=body)).status_code == 201

    async def run(self) -> None:
        """Send until told to stop; what was begun is finished."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=60) as http:
            await asyncio.gather(*(self._client(http, number) for number in range(self.clients)))

    async def _client(self, http: httpx2.AsyncClient, client: int) -> None:
        count = 0
        while not self.stopping:
            count += 1
            await self._until_answered(http, client, f"{self.name}{client}-{count}")
            await asyncio.sleep(self.rest)

    async def _until_answered(self, http: httpx2.AsyncClient, client: int, key: str) -> None:
        while True:
            try:
                answer = await http.post(
                    f"/api/v1/portfolio/{self.name}{client}/update",
                    content=BODY,
                    headers={"Idempotency-Key": key, "Content-Type": "application/json"},
                )
            except httpx2.TransportError as error:
                self.retried += 1
                self.cut += not isinstance(error, httpx2.ConnectError)
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == 200:
                async with self._progress:
                    self.answered[key] = int(answer.headers["X-Position"])
                    self._progress.notify_all()
                return
            if answer.status_code not in (503, 409):
                self.problems.append(f"{key}: {answer.status_code} {answer.text}")
                return
            self.retried += 1
            await asyncio.sleep(0.05)

    async def until(self, count: int) -> None:
        """Return once so many commands have been answered in all."""
        async with asyncio.timeout(120), self._progress:
            await self._progress.wait_for(lambda: len(self.answered) >= count)

    async def check(self) -> None:
        """Every answered command is in the log once, at the position it was told, and every view says so."""
        assert not self.problems
        assert len(set(self.answered.values())) == len(self.answered)
        last = max(self.answered.values())
        async with httpx2.AsyncClient(base_url=self.url, timeout=60) as http:
            for client in range(self.clients):
                deposits = sum(key.startswith(f"{self.name}{client}-") for key in self.answered)
                answer = await http.get(
                    f"/api/v1/portfolio/{self.name}{client}/state",
                    params={"at_least": last},
                    headers={"Prefer": "wait=30"},
                )
                assert answer.status_code == 200, answer.text
                state = json.loads(answer.text, parse_float=Decimal)
                assert state["cash_balance"] == deposits * Decimal("1.01")
                assert answer.headers["ETag"] == f'"{deposits + 1}"'
