"""Clients of every vertical that never give up, and readers beside them that take no answer that is not exact."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import httpx2

from api.numbers import loads
from tests.faults.traffic import Traffic
from tests.journeys.desk import asked, told, until_answered
from tests.journeys.fills import Fill, expected, fills, opened

LONG: Final = 120
"""Seconds after which what should come is taken not to come."""
AMOUNT: Final = Decimal("1.01")
"""What every deposit of the traffic is."""
ROWS: Final = 3
USERS: Final = 1
REST: Final = 0.15
"""Seconds between two commands of a client, so that servers come back beside them; the whole log is checked."""


@dataclass
class Everybody:
    """What was asked of an application and answered; ``name`` is part of every id."""

    url: str
    name: str
    first: int
    """The first number of executions that nobody else has used."""
    patient: bool = False
    """Readers take "not now" and cut connections: what they ask may be away."""
    traffic: Traffic = field(init=False)
    shares: dict[str, list[int]] = field(default_factory=dict)
    """Percentages of stocks that a user asked for one after the other."""
    fills: dict[int, Fill] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    health: Counter[int] = field(default_factory=Counter)
    """The statuses of ``/readyz``, 0 for no answer."""
    without: list[set[str]] = field(default_factory=list)
    """The parts that it said it does without, in every answer."""
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.traffic = Traffic(self.url, clients=2, name=f"{self.name}-T", rest=REST)

    @property
    def portfolios(self) -> list[str]:
        """Those that executions are booked into."""
        return [f"{self.name}-F{number}" for number in range(2)]

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Have all at work meanwhile; at the end everything that was begun is answered."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=120) as http:
            await self.traffic.open()
            await opened(http, self.portfolios)
            users = [f"{self.name}-U{number}" for number in range(USERS)]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.traffic.run())
                for number, user in enumerate(users):
                    tasks.create_task(self._rebalance(http, user, number))
                tasks.create_task(self._report(http))
                tasks.create_task(self._read(http))
                tasks.create_task(self._probe(http))
                try:
                    yield
                finally:
                    self.traffic.stopping = True

    async def more(self, count: int = 15) -> None:
        """Return once so many more deposits, and one more of everything else, have been answered."""
        before = self._counts()
        await self.traffic.until(len(self.traffic.answered) + count)
        await self._until(lambda: all(now > then for now, then in zip(self._counts(), before, strict=True)))

    async def missing(self, *parts: str) -> None:
        """Return once ``/readyz`` has said that it does without these parts, in one answer, from now on."""
        self.without.clear()
        await self._until(lambda: any(set(parts) <= without for without in self.without))

    async def well(self) -> None:
        """Return once ``/readyz`` has said that every part is there, from now on."""
        self.without.clear()
        await self._until(lambda: set() in self.without)

    async def unwell(self) -> None:
        """Return once ``/readyz`` has said that it is not, from now on."""
        self.health.clear()
        await self._until(lambda: bool(self.health[503]))

    async def retries(self) -> None:
        """Return once a client of the traffic has had to ask again, from now on."""
        before = self.traffic.retried
        await self._until(lambda: self.traffic.retried > before)

    async def _until(self, happened: Callable[[], bool]) -> None:
        """Return once something that was answered since has made this true."""
        async with asyncio.timeout(LONG), self._progress:
            await self._progress.wait_for(happened)

    async def _tell(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    def _counts(self) -> tuple[int, int, int]:
        return sum(map(len, self.shares.values())), len(self.fills), self.reads.total()

    async def _rebalance(self, http: httpx2.AsyncClient, user: str, number: int) -> None:
        while not self.traffic.stopping:
            count = len(self.shares.get(user, ()))
            stocks = 1 + (7 + 31 * count + number) % 97
            path, member = ("/rebalance", "new_allocation") if count else ("/portfolio", "allocation")
            body = {"user_id": user, member: {"stocks": stocks, "bonds": 100 - stocks}}
            answer = await until_answered(http, path, body, f"{user}-{count}")
            assert answer.status_code == 201, answer.text
            self.shares.setdefault(user, []).append(stocks)
            await self._tell()
            await asyncio.sleep(REST)

    async def _report(self, http: httpx2.AsyncClient) -> None:
        service_id = self.first
        while not self.traffic.stopping:
            part = [replace(each, named=True) for each in fills(service_id, ROWS, self.portfolios)]
            service_id += ROWS
            answer = await _posted(http, "/api/v1/executions", [fill.row for fill in part])
            assert answer.status_code == 201, answer.text  # a row that was recorded before is skipped, with its id
            ids = [each["executionId"] for each in told(answer)["results"]]
            assert not self.fills.keys() & set(ids)
            self.fills.update(zip(ids, part, strict=True))
            await self._tell()
            await asyncio.sleep(REST)

    async def _read(self, http: httpx2.AsyncClient) -> None:
        """Ask for what was answered, again and again: it is there, and all figures are of one moment."""
        while not self.traffic.stopping:
            for client in range(self.traffic.clients):
                await self._state(http, f"{self.traffic.name}{client}")
                await self._deposits(http, f"{self.traffic.name}{client}")
                await self._tell()

    async def _state(self, http: httpx2.AsyncClient, portfolio_id: str) -> None:
        known = self._known(portfolio_id)
        answer = await self._got(http, f"/api/v1/portfolio/{portfolio_id}/state", max(known, default=0))
        if answer is not None:
            version = int(answer.headers["ETag"].strip('"'))
            assert version > len(known)
            assert told(answer)["cash_balance"] == (version - 1) * AMOUNT

    async def _deposits(self, http: httpx2.AsyncClient, portfolio_id: str) -> None:
        known = self._known(portfolio_id)
        path = f"/api/v1/portfolio/{portfolio_id}/transactions?type=DEP&limit=10"
        answer = await self._got(http, path, max(known, default=0))
        if answer is not None:
            shown = [each["position"] for each in told(answer)["items"]]
            assert shown == sorted(shown, reverse=True)
            assert len(shown) >= min(10, len(known))
            new = [each for each in known if not shown or each >= shown[-1]]
            assert set(new) <= set(shown), (portfolio_id, new, shown)

    def _known(self, portfolio_id: str) -> list[int]:
        answered = self.traffic.answered.items()
        return [position for key, position in answered if key.startswith(f"{portfolio_id}-")]

    async def _got(self, http: httpx2.AsyncClient, path: str, at_least: int) -> httpx2.Response | None:
        headers = {"X-Min-Position": str(at_least), "Prefer": "wait=30"}
        try:
            answer = await http.get(path, headers=headers)
        except httpx2.TransportError:
            assert self.patient, f"{path} was not answered"
            self.reads["cut"] += 1
            return None
        self.reads[str(answer.status_code)] += 1
        if self.patient and answer.status_code == 503:
            return None
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer

    async def _probe(self, http: httpx2.AsyncClient) -> None:
        """Ask how it is, as who runs it does."""
        while not self.traffic.stopping:
            try:
                answer = await http.get("/readyz")
            except httpx2.TransportError:
                self.health[0] += 1
            else:
                self.health[answer.status_code] += 1
                if answer.status_code == 200:
                    self.without.append({part["name"] for part in answer.json()["parts"] if part["state"] != "up"})
            await self._tell()
            await asyncio.sleep(0.1)

    async def check(self) -> None:
        """Everything that was answered is there once: deposits, rebalances in order, executions and their bookings."""
        await self.traffic.check()
        async with httpx2.AsyncClient(base_url=self.url, timeout=120) as http:
            for user, shares in self.shares.items():
                assert await _settled(http, user) == _booked(user, shares)
            assert told(await asked(http, "GET", "/api/v1/work/parked"))["items"] == []
            for portfolio_id in self.portfolios:
                own = [fill for fill in self.fills.values() if fill.portfolio_id == portfolio_id]
                await self._booked(http, portfolio_id, own)

    async def _booked(self, http: httpx2.AsyncClient, portfolio_id: str, own: list[Fill]) -> None:
        """Check that a portfolio has come to be exactly what these executions make of it."""
        cash, positions = expected(own)
        version = 1 + len(positions) + len(own)
        async with asyncio.timeout(LONG):
            while True:
                answer = await asked(http, "GET", f"/api/v1/portfolio/{portfolio_id}/state")
                if int(answer.headers["ETag"].strip('"')) >= version:
                    break
                await asyncio.sleep(0.05)
        state = told(answer)
        held = {each["instrument_id"]: each["quantity"] for each in state["positions"]}
        assert (int(answer.headers["ETag"].strip('"')), held.pop("CASH")) == (version, cash)
        assert held == positions


async def _posted(http: httpx2.AsyncClient, path: str, body: Any) -> httpx2.Response:
    """Send a request until it is answered by more than "not now"."""
    async with asyncio.timeout(LONG):
        while True:
            try:
                answer = await http.post(path, json=body)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status_code != 503:
                return answer
            await asyncio.sleep(0.05)


def _booked(user: str, shares: list[int]) -> list[dict[str, Any]]:
    """Return the transactions of a user, in booking order."""
    found = []
    for before, now in pairwise(shares):
        actions = ("BUY", "SELL") if now > before else ("SELL", "BUY")
        for action, asset in zip(actions, ("stocks", "bonds"), strict=True):
            found.append({"user_id": user, "action": action, "asset": asset, "rebalance_percent": abs(now - before)})
    return found


async def _settled(http: httpx2.AsyncClient, user: str) -> list[dict[str, Any]]:
    """Return the transactions of a user once nothing is pending."""
    async with asyncio.timeout(LONG):
        while True:
            answer = await http.get(f"/transactions?user_id={user}&settled=true", headers={"Prefer": "wait=30"})
            if answer.status_code == 200:
                found: list[dict[str, Any]] = loads(answer.content)["data"]
                return found
            assert answer.status_code == 503, answer.text
