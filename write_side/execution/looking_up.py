"""Whose executions are: all look-ups of one request at once, within one time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, TypeAlias

from write_side.execution.ports import LookUpFailed, Owner, Owners
from write_side.gate import Gate

AT_ONCE: Final = 20
"""So many look-ups of one request are under way."""


class NotReached(LookUpFailed):
    """The time of the request was over before there was an answer."""


Found: TypeAlias = dict[int, Owner | LookUpFailed]
"""Whose each execution is, or why that is not known, by ``executionServiceId``."""


async def looked_up(owners: Owners, service_ids: Iterable[int], limit: float, gate: Gate | None = None) -> Found:
    """Return whose all these are; what is not answered within ``limit`` seconds is ``NotReached``.

    One look-up begins in each turn of ``gate``. A request has few that wait for one, so a small request is not behind
    all of a large one.
    """
    gate = gate or Gate()
    wanted = dict.fromkeys(service_ids)
    left = iter(wanted)
    found: Found = {}

    async def some() -> None:
        for service_id in left:
            await gate.turn()
            try:
                found[service_id] = await owners.of(service_id)
            except LookUpFailed as error:
                found[service_id] = error

    try:
        async with asyncio.timeout(limit), asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(wanted))):
                group.create_task(some())
    except TimeoutError:
        late = NotReached(f"no answer within the {limit:g} s of a request")
        found |= {service_id: late for service_id in wanted if service_id not in found}
    return found
