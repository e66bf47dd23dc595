"""A task that stands for its work again and again: whatever interrupts it, it begins anew after a pause."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from domain.errors import Unavailable
from write_side.policies import Policy
from write_side.work import Overtaken

_AGAIN = 1.0

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Standing(ABC):
    """What works for a policy in the background; after a failure it pauses, ``slowest`` seconds at most.

    ``leading`` is true while it has what it stands for.
    """

    policy: Policy
    slowest: float = 10.0
    leading: bool = field(default=False, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin, as a task of its own."""
        self._task = asyncio.create_task(self._run(), name=f"follower {self.policy.name}")

    async def close(self, within: float = 10.0) -> None:
        """Begin nothing more, wait for what runs, so many seconds at most, and end."""
        self._stopping.set()
        if self._task is None:
            return
        if self.leading:
            await asyncio.wait([self._task], timeout=within)
        while not self._task.done():  # once is not enough: on Python 3.11 a driver can lose a cancellation
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_AGAIN)

    @abstractmethod
    async def _stand(self) -> None:
        """Stand for the work and do it, until it is to end; whatever is raised, it is called again."""

    async def _run(self) -> None:
        """Lead and follow; whatever happens, stand again after a pause and begin at the checkpoint."""
        failures, name = 0, self.policy.name
        while not self._stopping.is_set():
            started = asyncio.get_running_loop().time()
            try:
                await self._stand()
            except (Unavailable, Overtaken) as error:
                log.warning("policy interrupted, it begins again at its checkpoint", policy=name, error=str(error))
            except Exception as error:  # a defect of ours: told, and everything since the checkpoint is begun again
                log.exception("policy failed, it begins again at its checkpoint", policy=name, error=str(error))
            finally:
                self.leading = False
            lasted = asyncio.get_running_loop().time() - started
            failures = 1 if lasted > self.slowest else failures + 1
            await first(self._stopping.wait(), asyncio.sleep(self._pause(failures)))

    def _pause(self, failures: int) -> float:
        """Return after how many seconds to begin again after so many failures in a row."""
        longest: float = min(0.05 * 2 ** min(failures, 20), self.slowest)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311


async def first(*waits: Coroutine[Any, Any, object]) -> list[object]:
    """Return what those say that end first; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return [task.result() for task in ended]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
