"""A log that is published to a real Kafka, members of a group that mirror it, and what they are heard to say."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from domain.base import Recorded
from domain.portfolio import CashDeposited, Portfolio
from read_side.adapters.postgres_work import PostgresWorkSource
from read_side.work import ParkedRow
from tests.projections.logs import Process
from tests.write_side.mirroring import PREFIX, mirroring
from tests.write_side.publishing import Topic
from tests.write_side.stores import NOW, Store
from write_side.adapters.postgres_work import PostgresWork
from write_side.group_follower import GroupFollower
from write_side.log import Context
from write_side.policies import Policy, key_of

ROOT = Path(__file__).parents[2]
KEYS = ["A", "B", "C", "D", "E", "F"]


@dataclass
class Said:
    """What is logged: a processor of structlog that keeps it."""

    lines: list[Any] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, _: Any, level: str, line: Any) -> Any:
        self.lines.append({**line, "level": level})
        self.more.set()
        raise structlog.DropEvent

    def of(self, event: str) -> list[Any]:
        return [line for line in self.lines if line["event"] == event]

    async def until(self, event: str, times: int = 1) -> None:
        """Return once this was logged so often."""
        async with asyncio.timeout(60):
            while len(self.of(event)) < times:
                self.more.clear()
                await self.more.wait()


@dataclass
class Desk:
    """A log and its readers; ``acted`` are the events that members of this process were given to act on."""

    one: Store
    reading: Process
    topic: Topic
    acted: list[tuple[str, int]]

    async def pay(self, *amounts: str, keys: Sequence[str] = KEYS) -> None:
        """Pay each amount into every portfolio in turn."""
        for amount in amounts:
            for key in keys:
                if not await self.one.log.version(Portfolio.stream(key)):
                    await self.one.open(key)
                await self.one.move(key, amount)
        await self.topic.publish(self.one.log)

    async def mirrored(self, key: str) -> list[Decimal]:
        """Return the payments into the mirror, in their order."""
        events = await self.one.log.read(Portfolio.stream(f"{PREFIX}{key}"))
        return [event.amount for event in events if isinstance(event, CashDeposited)]

    async def parked(self) -> list[ParkedRow]:
        """Return what is parked."""
        return await PostgresWorkSource(self.reading.pool.connection).page(100, None)

    def policy(self) -> Policy:
        """Return the policy that mirrors, of which is noted what it is given."""
        mirror = mirroring(self.one.store, self.one.log, NOW)

        async def act(recorded: Recorded, context: Context) -> None:
            self.acted.append((key_of(recorded), recorded.version))
            await mirror.act(recorded, context)

        return replace(mirror, act=act)

    @asynccontextmanager
    async def member(self, *, settings: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[GroupFollower]:
        """Take part in this process, which nobody misses while it is slow."""
        follower = GroupFollower(
            policy=options.pop("policy", self.policy()),
            group=self.topic.members(**{"session_timeout_ms": 60_000} | (settings or {})),
            work=options.pop("work", PostgresWork(self.reading.pool.connection)),
            history=self.one.log,
            **{"first_pause": 0.01, "beat": 0.1} | options,
        )
        follower.start()
        try:
            yield follower
        finally:
            await follower.close()

    @asynccontextmanager
    async def child(self, place: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Take part in a process that stops at this place; whatever happens, it is killed in the end."""
        arguments = [self.reading.database_url, self.topic.bootstrap_servers, self.topic.name, place]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.write_side.group_worker", *arguments,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield child
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
            child._transport.close()  # type: ignore[attr-defined]
