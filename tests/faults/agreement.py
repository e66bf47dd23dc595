"""What has to agree when all is quiet: the answers, the log, every view, every search copy and the topic."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from api.bootstrap.operating import operating
from api.bootstrap.reading import reading
from api.bootstrap.registry import PROJECTORS
from api.bootstrap.searching import COPIED
from api.bootstrap.working import consumed, parked_work
from api.settings import Settings
from domain.execution import ExecutionBooked, ExecutionRecorded
from domain.portfolio import RebalanceBooked
from projections.copy_checks import verify_copy
from projections.rebuild import verify
from tests.faults.everybody import LONG, Everybody
from tests.faults.publishing import published_once, recorded


async def everything_agrees(settings: Settings, worked: Sequence[Everybody]) -> None:
    """Check all of it; ``settings`` say where the servers are, without a proxy before them."""
    assert settings.database_url is not None
    for everybody in worked:
        await everybody.check()
    position = await quiet(settings)
    log, _ = await recorded(settings.database_url)
    counted = Counter((stream, topic) for stream, topic, _ in log)
    for everybody in worked:
        _once(everybody, counted)
    await views_agree(settings, position)
    if settings.kafka_bootstrap_servers is not None:
        await published_once(settings.database_url, settings.kafka_bootstrap_servers, settings.kafka_topic)


def _once(everybody: Everybody, counted: Mapping[tuple[str, str], int]) -> None:
    """Check that the log has every execution and its booking once, and every rebalance that was asked for once."""
    for fill in everybody.fills.values():
        stream = f"execution/{fill.service_id}"
        assert (counted[stream, ExecutionRecorded.TOPIC], counted[stream, ExecutionBooked.TOPIC]) == (1, 1)
    booked = sum(count for (_, topic), count in counted.items() if topic == RebalanceBooked.TOPIC)
    assert booked >= sum(len(shares) - 1 for shares in everybody.shares.values())


async def quiet(settings: Settings) -> int:
    """Return where the log ends, once whoever acts on it has seen all of it and appended nothing more."""
    async with asyncio.timeout(LONG), reading(settings) as parts:
        work, head = parked_work(parts, elsewhere=consumed(settings)), -1
        while (before := head) != (head := await parts.log.head()):
            await work.listed(at_least=head, wait=LONG)
        return before


async def views_agree(settings: Settings, position: int) -> None:
    """Check that every view, once it is at this position, is what the log makes of it, and so is every copy."""
    async with operating(settings) as parts:
        for projector in PROJECTORS:
            await parts.views.wait_for(projector.view, position, LONG)
            done = await verify(projector, parts.history, parts.builder)
            assert (done.position, done.differences) == (position, []), projector.view.name
        if parts.indexes is not None:
            for view in COPIED:
                compared = await verify_copy(view, parts.changes, parts.views, parts.indexes)
                assert compared.differences == [], view.name
