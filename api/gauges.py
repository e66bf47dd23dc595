"""Figures for Prometheus that are not about HTTP: the appender's groups, the log's head, the lags behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from domain.errors import FoliologError
from read_side.lag import Lags
from read_side.signals import Signals
from read_side.tasks import end
from read_side.work import ParkedWork

_MEASURE_EVERY = 2.0

log = structlog.get_logger(__name__)


class Flush(Protocol):
    """One group committed: its commands, seconds the oldest waited and seconds the flush took."""

    @property
    def commands(self) -> int: ...
    @property
    def waited(self) -> float: ...
    @property
    def took(self) -> float: ...


def flushes(registry: CollectorRegistry) -> Callable[[Flush], None]:
    """Return what counts the appender's groups."""
    buckets = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
    size = Histogram(
        "foliolog_append_group_commands",
        "Commands that shared a commit",
        registry=registry,
        buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    )
    took = Histogram("foliolog_append_flush_seconds", "Time of a commit", registry=registry, buckets=buckets)
    waited = Histogram(
        "foliolog_append_wait_seconds", "Wait of a group's oldest command", registry=registry, buckets=buckets
    )

    def observe(flush: Flush) -> None:
        size.observe(flush.commands)
        took.observe(flush.took)
        waited.observe(flush.waited)

    return observe


@asynccontextmanager
async def lags(
    source: Lags, signals: Signals, registry: CollectorRegistry, expected: Collection[str]
) -> AsyncIterator[None]:
    """Keep the gauges of the log and of the lag of every view, search copy (``copy/...``) and relay up to date.

    Only of those that are ``expected``: what was switched off stands still, and is nothing to be alarmed about.
    """
    head = Gauge("foliolog_log_position", "Position of the last event", registry=registry)
    head.set_function(lambda: signals.head)
    events = Gauge("foliolog_view_lag_events", "Events a view has yet to take", ["view"], registry=registry)
    seconds = Gauge("foliolog_view_lag_seconds", "Age of the first event not taken", ["view"], registry=registry)
    stopped = Gauge("foliolog_view_stopped", "1 for a projection that has stopped", ["view"], registry=registry)
    unsent = Gauge("foliolog_relay_lag_events", "Events not yet published", ["relay"], registry=registry)
    oldest = Gauge("foliolog_relay_lag_seconds", "Age of the first of them", ["relay"], registry=registry)
    silent = Gauge("foliolog_relay_stopped", "1 for a relay that cannot publish", ["relay"], registry=registry)

    async def measure() -> None:
        for lag in await source.lags():
            if lag.view not in expected:
                continue
            relay = lag.view.startswith("relay/")
            name = lag.view.removeprefix("relay/")
            (unsent if relay else events).labels(name).set(lag.events)
            (oldest if relay else seconds).labels(name).set(lag.seconds)
            (silent if relay else stopped).labels(name).set(lag.stopped)

    async with _kept(measure, events, seconds, stopped, unsent, oldest, silent):
        yield


@asynccontextmanager
async def work(source: ParkedWork, registry: CollectorRegistry) -> AsyncIterator[None]:
    """Keep the gauges of the work that follows the log up to date: how far each policy is, and what it has parked."""
    parked = Gauge("foliolog_parked", "Events that a policy could not work on", ["policy"], registry=registry)
    events = Gauge("foliolog_policy_lag_events", "Events a policy has yet to pass", ["policy"], registry=registry)

    async def measure() -> None:
        for policy in await source.progress():
            parked.labels(policy.policy).set(policy.parked)
            events.labels(policy.policy).set(policy.events)

    async with _kept(measure, parked, events):
        yield


def searches(registry: CollectorRegistry) -> Callable[[str, str], None]:
    """Return what counts who answers searches in copied views: ``copy``, or why the durable view had to."""
    answers = Counter(
        "foliolog_search_answers",
        "Searches by what became of them: copy, or why the durable view answered",
        ["view", "source"],
        registry=registry,
    )
    return lambda view, source: answers.labels(view, source).inc()


class ConsumerLag(Protocol):
    """How many records each consumer group has yet to take; ``error`` says why the figures are not of now."""

    @property
    def lags(self) -> Mapping[str, int]: ...
    @property
    def error(self) -> str | None: ...

    async def measure(self) -> None:
        """Ask for them; never raises."""


@asynccontextmanager
async def consumers(source: ConsumerLag, registry: CollectorRegistry) -> AsyncIterator[None]:
    """Keep the gauge of the lag of our consumer groups up to date."""
    told = "Offsets a group has yet to commit, markers of transactions among them"
    records = Gauge("foliolog_consumer_lag_records", told, ["group"], registry=registry)

    async def measure() -> None:
        await source.measure()
        if source.error is not None:
            records.clear()
            return
        for group, lag in source.lags.items():
            records.labels(group).set(lag)

    async with _kept(measure, records):
        yield


@asynccontextmanager
async def _kept(measure: Callable[[], Awaitable[None]], *gauges: Gauge) -> AsyncIterator[None]:
    """Measure again and again meanwhile; while that fails the gauges show nothing, for old figures would look new."""

    async def run() -> None:
        told = ""
        while True:
            try:
                await measure()
                told = ""
            except FoliologError as error:
                _empty(gauges)
                log.warning("lag not measured", error=str(error))
            except Exception as error:  # whatever it is: the gauges tell that, and the log, once, where it happened
                _empty(gauges)
                if told != (told := str(error)):
                    log.exception("lag not measured")
            await asyncio.sleep(_MEASURE_EVERY)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        await end(task)


def _empty(gauges: Iterable[Gauge]) -> None:
    for gauge in gauges:
        gauge.clear()
