"""What a process that answers HTTP tells of every part: figures for Prometheus, and the checks behind readiness."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from api import gauges, health
from api.bootstrap.reading import Reading, revision
from api.bootstrap.registry import PROJECTORS
from api.bootstrap.searching import COPIED
from api.bootstrap.working import consumer_lag
from api.queries.system import Part, State
from api.settings import Settings
from migrations import NEWEST
from read_side.copies import follower_of
from read_side.optional import Link
from read_side.price_table import PriceTable
from read_side.work import ParkedWork


@asynccontextmanager
async def watching(
    settings: Settings, parts: Reading, parked: ParkedWork, registry: CollectorRegistry
) -> AsyncIterator[Mapping[str, health.Check]]:
    """Keep the gauges of what follows the log up to date; give the checks of it that do not belong to the views."""
    checks = {"worker": health.worker(parked)}
    copies, relays = _followers(settings)
    async with AsyncExitStack() as stack:
        expected = {*(each.view.name for each in PROJECTORS), *copies, *relays}
        await stack.enter_async_context(gauges.lags(parts.views, parts.signals, registry, expected))
        await stack.enter_async_context(gauges.work(parked, registry))
        if copies:
            checks["search copies"] = health.followers(parts.views, copies)
        lag = consumer_lag(settings)
        if lag is not None:
            stack.push_async_callback(lag.close)
            await stack.enter_async_context(gauges.consumers(lag, registry))
            checks["kafka"] = health.brokers(lag)
            checks["relay"] = health.followers(parts.views, relays)
        yield checks


def _followers(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """Return how the search copies and the relay are called as parts, by follower; those that the settings have."""
    copies = {follower_of(view): f"search copy {view.name}" for view in COPIED}
    relays = {f"relay/{settings.kafka_topic}": "relay"}
    return copies if settings.elasticsearch_url else {}, relays if settings.kafka_bootstrap_servers else {}


def readiness(
    parts: Reading, table: PriceTable, checks: Mapping[str, health.Check], search: Link[Any] | None, *, views: bool
) -> health.Checks:
    """Return the checks of everything that this process needs; of ``views`` only where it answers from them."""

    async def event_log() -> list[Part]:
        head = await parts.log.head()
        return [Part("event log", State.UP, {"position": head})]

    async def migrations() -> list[Part]:
        found = await revision(parts.pool)
        state = State.UP if found == NEWEST else State.DOWN
        if found is not None and found > NEWEST:
            state = State.DEGRADED  # of a newer program, whose migrations this one can live with until it is replaced
        return [Part("migrations", state, {"revision": found, "newest": NEWEST})]

    async def prices() -> list[Part]:
        members = {"position": table.position} | ({"error": table.error} if table.error else {})
        return [Part("prices in memory", State.DOWN if table.error else State.UP, members)]

    made: dict[str, health.Check] = {"event log": event_log, "migrations": migrations, "prices in memory": prices}
    made |= checks
    if views:
        made["views"] = health.views(parts.views, [projector.view.name for projector in PROJECTORS])
    for name, link in {"hot copy": parts.link, "elasticsearch": search}.items():
        if views and link is not None:
            made[name] = health.optional(name, partial(_reachable, link))
    return health.Checks(made)


def _reachable(link: Link[Any]) -> bool:
    return link.reachable
