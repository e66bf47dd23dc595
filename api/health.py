"""Readiness put together from checks of single parts, each bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from api.gauges import ConsumerLag
from api.queries.system import Part, State
from domain.errors import FoliologError
from read_side.lag import Lags
from read_side.work import ParkedWork

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[Sequence[Part]]]
_LOOKS = 20
"""How often a check is looked at within its limit: while this process is held up itself, no part gets the blame."""


class Checks:
    """Runs all checks at once; one that fails or takes longer than ``limit`` seconds says that its part is down."""

    def __init__(self, checks: Mapping[str, Check], *, limit: float = 2.0) -> None:
        self._checks = checks
        self._limit = limit
        self._left: set[asyncio.Task[Sequence[Part]]] = set()

    async def parts(self) -> Sequence[Part]:
        """Return the parts in the order of the checks."""
        found = await asyncio.gather(*(self._run(name, check) for name, check in self._checks.items()))
        return [part for parts in found for part in parts]

    async def _run(self, name: str, check: Check) -> Sequence[Part]:
        task = asyncio.create_task(_bounded(name, check))
        for _ in range(_LOOKS):
            await asyncio.wait([task], timeout=self._limit / _LOOKS)
            if task.done():
                return task.result()
        task.cancel()  # and not waited for: a driver may take seconds to give up
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        return [Part(name, State.DOWN, {"error": f"no answer within {self._limit:g} s"})]


async def _bounded(name: str, check: Check) -> Sequence[Part]:
    try:
        return await check()
    except FoliologError as error:
        return [Part(name, State.DOWN, {"error": str(error)})]
    except Exception as error:  # whatever it is, the part is down, and the log has where it happened
        log.exception("a part cannot be checked", part=name)
        return [Part(name, State.DOWN, {"error": f"{type(error).__name__}: {error}"})]


def views(lags: Lags, expected: Sequence[str]) -> Check:
    """Return the check of the views: one that has stopped or was never made is down, one that is behind is not."""

    async def check() -> list[Part]:
        known = {lag.view: lag for lag in await lags.lags()}
        parts = []
        for view in expected:
            lag = known.get(view)
            if lag is None:
                parts.append(Part(f"view {view}", State.DOWN, {"error": "not made yet: no projector has run"}))
                continue
            members: dict[str, object] = {
                "position": lag.position,
                "lag_events": lag.events,
                "lag_seconds": round(lag.seconds, 3),
            }
            if lag.stopped:
                members |= {"error": lag.error, "stopped_at": lag.stopped_at}
            parts.append(Part(f"view {view}", State.DOWN if lag.stopped else State.UP, members))
        return parts

    return check


def followers(lags: Lags, expected: Mapping[str, str], *, late: float = 10.0) -> Check:
    """Return the check of what follows the log outside the views; ``expected`` holds part names by follower.

    One that stands still, was never led or is ``late`` seconds behind makes the application slower, or what others
    read of it older: it is degraded, never down.
    """

    async def check() -> list[Part]:
        known = {lag.view: lag for lag in await lags.lags()}
        parts = []
        for name, part in expected.items():
            lag = known.get(name)
            if lag is None:
                parts.append(Part(part, State.DEGRADED, {"error": "nobody has led it yet"}))
                continue
            members: dict[str, object] = {
                "position": lag.position,
                "lag_events": lag.events,
                "lag_seconds": round(lag.seconds, 3),
            }
            if lag.stopped:
                members |= {"error": lag.error, "stopped_at": lag.stopped_at}
            behind = lag.stopped or lag.seconds > late
            parts.append(Part(part, State.DEGRADED if behind else State.UP, members))
        return parts

    return check


def worker(work: ParkedWork) -> Check:
    """Return the check of the work that follows the log: while something is parked it is degraded, with the count."""

    async def check() -> list[Part]:
        progress = await work.progress()
        parked = sum(each.parked for each in progress)
        members = {"parked": parked, "lag_events": max((each.events for each in progress), default=0)}
        return [Part("worker", State.DEGRADED if parked else State.UP, members)]

    return check


def brokers(lag: ConsumerLag) -> Check:
    """Return the check of Kafka, as it was last measured: while it does not answer it is degraded, with the reason."""

    async def check() -> list[Part]:
        lags = {f"lag_records {group}": records for group, records in lag.lags.items()}
        if lag.error is not None:
            return [Part("kafka", State.DEGRADED, {"error": lag.error, **lags})]
        return [Part("kafka", State.UP, lags)]

    return check


def optional(name: str, reachable: Callable[[], bool]) -> Check:
    """Return the check of a part that the rest does without: not there means degraded."""

    async def check() -> list[Part]:
        return [Part(name, State.UP if reachable() else State.DEGRADED)]

    return check
