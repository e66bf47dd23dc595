"""Readiness while this process is held up itself: what it cannot hear does not make a part of it down."""

from __future__ import annotations

import asyncio
import threading

from api.health import Checks
from api.queries.system import Part, State


def hold_up(seconds: float) -> None:
    """Let this thread, and so its event loop, do nothing."""
    threading.Event().wait(seconds)


async def test_a_process_that_was_held_up_still_hears_what_it_has_asked() -> None:
    async def check() -> list[Part]:
        await asyncio.sleep(0)
        hold_up(0.6)
        for _ in range(3):  # an answer is there, and takes a few turns to be read
            await asyncio.sleep(0)
        return [Part("fine", State.UP)]

    assert await Checks({"fine": check}, limit=0.3).parts() == [Part("fine", State.UP)]


async def test_a_part_that_does_not_answer_is_down_while_the_others_are_told() -> None:
    async def silent() -> list[Part]:
        await asyncio.Event().wait()
        raise AssertionError("nobody answers")

    async def fine() -> list[Part]:
        return [Part("fine", State.UP)]

    down, up = await Checks({"silent": silent, "fine": fine}, limit=0.3).parts()
    assert (down.name, down.state, down.members) == ("silent", State.DOWN, {"error": "no answer within 0.3 s"})
    assert up == Part("fine", State.UP)
