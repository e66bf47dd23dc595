"""Whose executions are: all look-ups of one request at once, within one time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

from write_side.execution.ports import LookUpFailed, Owner, Owners


class NotReached(LookUpFailed):
    """The time of the request was over before there was an answer."""


Found: TypeAlias = dict[int, Owner | LookUpFailed]
"""Whose each execution is, or why that is not known, by ``executionServiceId``."""


async def looked_up(owners: Owners, service_ids: Iterable[int], limit: float) -> Found:
    """Return whose all these are; what is not answered within ``limit`` seconds is ``NotReached``."""
    wanted = dict.fromkeys(service_ids)
    found: Found = {}

    async def one(service_id: int) -> None:
        try:
            found[service_id] = await owners.of(service_id)
        except LookUpFailed as error:
            found[service_id] = error

    try:
        async with asyncio.timeout(limit), asyncio.TaskGroup() as group:
            for service_id in wanted:
                group.create_task(one(service_id))
    except TimeoutError:
        late = NotReached(f"no answer within the {limit:g} s of a request")
        found |= {service_id: late for service_id in wanted if service_id not in found}
    return found
