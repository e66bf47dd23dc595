"""Many aggregates at once: one query for the snapshots that are needed, one for the events after them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from domain.base import A, Aggregate, fold
from write_side.log import EventLog

_SLICE = 20
"""So many aggregates are folded before others get their turn."""


async def load_many(
    event_log: EventLog, cls: type[A], keys: Iterable[str], cached: Mapping[str, Aggregate]
) -> dict[str, A]:
    """Return those of the aggregates that exist, by key, as the log has them now; ``cached`` spares reading.

    Raises ``Broken``, ``StoreUnavailable``.
    """
    streams = {key: cls.stream(key) for key in dict.fromkeys(keys)}
    known: dict[str, A] = {
        stream: aggregate for stream in streams.values() if isinstance(aggregate := cached.get(stream), cls)
    }
    unknown = [stream for stream in streams.values() if stream not in known]
    if unknown:
        known |= await event_log.snapshots(cls, unknown)
    later = await event_log.read_many(
        {stream: known[stream].version if stream in known else 0 for stream in streams.values()}
    )
    found: dict[str, A] = {}
    for number, (key, stream) in enumerate(streams.items(), 1):
        aggregate, events = known.get(stream), later.get(stream, [])
        if events:
            aggregate = fold(events, aggregate and aggregate.copy())
        if aggregate is not None:
            found[key] = aggregate
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return found
