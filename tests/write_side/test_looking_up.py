"""How the look-ups of many executions share the time of the process and of the service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from write_side.execution.looking_up import AT_ONCE, looked_up
from write_side.execution.ports import LookUpFailed, Owner
from write_side.gate import Gate


@dataclass
class Turns:
    """Counts the turns of the event loop while its block runs."""

    number: int = 0
    _stopped: bool = False

    def __enter__(self) -> Turns:
        self._next()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True

    def _next(self) -> None:
        self.number += 1
        if not self._stopped:
            asyncio.get_running_loop().call_soon(self._next)


@dataclass
class Asked:
    """Knows whose all executions are, at once or when so many are asked for at once."""

    together: int = 1
    turns: Turns = field(default_factory=Turns)
    begun: list[tuple[int, int]] = field(default_factory=list)
    """Of each look-up the turn and the execution."""
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def of(self, service_id: int) -> Owner:
        self.begun.append((self.turns.number, service_id))
        if len(self.begun) >= self.together:
            self._enough.set()
        await self._enough.wait()
        if service_id == 13:
            raise LookUpFailed("nobody knows")
        return Owner(f"ACC-{service_id}")


async def test_a_request_has_many_look_ups_under_way() -> None:
    owners = Asked(together=AT_ONCE)
    found = await looked_up(owners, range(1, 101), 60)
    assert {number for number, owner in found.items() if owner == Owner(f"ACC-{number}")} == {*range(1, 101)} - {13}
    assert str(found[13]) == "nobody knows"


async def test_one_look_up_of_all_requests_begins_in_a_turn_of_the_loop() -> None:
    gate = Gate()
    with Turns() as turns:
        owners = Asked(turns=turns)
        await asyncio.gather(*(looked_up(owners, range(first, first + 50), 60, gate) for first in (100, 200, 300)))
    in_turns = [turn for turn, _ in owners.begun]
    assert len(in_turns) == 150
    assert len(set(in_turns)) == 150


async def test_a_small_request_is_not_behind_all_of_a_large_one() -> None:
    gate, owners = Gate(), Asked()
    await asyncio.gather(looked_up(owners, range(100, 200), 60, gate), looked_up(owners, [1], 60, gate))
    assert [service_id for _, service_id in owners.begun].index(1) <= AT_ONCE
