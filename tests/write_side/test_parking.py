"""What a policy cannot do: tried again, parked, taken up again, and never passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from domain.base import Recorded
from domain.errors import Broken, Overloaded, RuleViolated, StoreUnavailable
from tests.write_side.following import POLICY, Log


@pytest.fixture(autouse=True)
def said() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    with capture_logs() as lines:
        yield cast("list[Any]", lines)


async def test_what_is_not_available_is_tried_again() -> None:
    log = Log()
    failures = [Overloaded("too much")] * 4

    async def act(recorded: Recorded) -> None:
        if recorded.stream.endswith("A") and failures:
            raise failures.pop()

    log.act = act
    async with log.followed():
        await log.reached(await log.add("A", "B"))
    assert [key for key, _ in log.acted].count("A") == 5
    assert log.work.kept == {}


async def test_after_five_attempts_it_is_parked_and_the_next_of_its_stream_is_done_and_takes_it_up_again() -> None:
    log = Log()
    away = True

    async def act(recorded: Recorded) -> None:
        if away and recorded.version == 2:
            raise Overloaded("too much")

    log.act = act
    async with log.followed():
        await log.reached(await log.add("A"))
        [parked] = log.work.kept.values()
        assert (parked.position, parked.stream, parked.topic) == (2, "portfolio/A", "portfolio.cash-deposited.v1")
        assert (parked.attempts, parked.error) == (5, "Overloaded: too much")
        await log.reached(await log.add("A"))
        assert log.work.kept[POLICY, 2].attempts == 6
        away = False
        await log.reached(await log.add("A"))
        assert log.work.kept == {}
    assert log.acted == [("A", 2)] * 5 + [("A", 3), ("A", 2), ("A", 4), ("A", 2)]


@pytest.mark.parametrize("error", [RuntimeError("a\0b\ud800"), Broken("no sense"), RuleViolated("it is closed")])
async def test_what_another_attempt_would_not_help_is_parked_at_once_and_said(
    said: list[Any], error: Exception
) -> None:
    log = Log()

    async def act(recorded: Recorded) -> None:
        if recorded.version == 2:
            raise error

    log.act = act
    async with log.followed():
        await log.reached(await log.add("A", "A", "B"))
    assert [version for key, version in log.acted if key == "A"] == [2, 3, 2]
    assert {parked.stream: parked.attempts for parked in log.work.kept.values()} == {"portfolio/A": 2, "portfolio/B": 1}
    assert {parked.error for parked in log.work.kept.values()} == {
        f"{type(error).__name__}: {error}".replace("\0", "?").replace("\ud800", "?")
    }
    assert [line["position"] for line in said if line["event"] == "work is parked"] == [2, 5]
    assert [line["log_level"] for line in said if line["event"] == "work failed"] == ["error"] * 2


async def test_while_the_store_is_away_no_attempt_counts_and_nothing_is_lost() -> None:
    log, met = Log(), asyncio.Event()

    async def act(recorded: Recorded) -> None:
        if len(log.acted) <= 12:
            log.work.failure = StoreUnavailable("away")
            met.set()
            raise log.work.failure
        if len(log.acted) <= 16:
            raise Overloaded("too much")

    log.act = act
    head = await log.add("A")
    async with log.followed():
        for _ in range(12):
            await met.wait()
            met.clear()
            assert log.work.kept == {}
            assert log.work.checkpoints.get(POLICY, 0) < head
            log.work.failure = None
        await log.reached(head)
    assert log.acted == [("A", 2)] * 17
    assert log.work.kept == {}


async def test_what_cannot_be_parked_is_not_passed_over() -> None:
    log, met = Log(), asyncio.Event()

    async def act(recorded: Recorded) -> None:
        log.work.failure = StoreUnavailable("away")
        met.set()
        raise RuleViolated("never")

    log.act = act
    head = await log.add("A")
    async with log.followed():
        await met.wait()
        met.clear()
        assert log.work.checkpoints.get(POLICY, 0) < head

        async def again(recorded: Recorded) -> None:
            raise RuleViolated("never")

        log.act = again
        log.work.failure = None
        await log.reached(head)
    assert [parked.position for parked in log.work.kept.values()] == [head]


async def test_what_is_parked_is_passed_over_by_one_that_comes_to_it_again() -> None:
    log = Log()

    async def act(recorded: Recorded) -> None:
        raise RuleViolated("never")

    log.act = act
    async with log.followed():
        await log.reached(head := await log.add("A"))
    log.work.checkpoints.clear()
    async with log.followed():
        await log.reached(await log.add("B"))
    assert log.acted == [("A", 2), ("B", 2)]
    assert log.work.kept[POLICY, head].attempts == 1


async def test_an_event_that_cannot_be_read_is_parked_and_the_next_ones_are_done() -> None:
    log = Log()

    class Pages:
        async def page(self, after: int, limit: int) -> list[Recorded]:
            page = await log.log.page(after, limit)
            if page and page[0].position == 2:
                raise Broken("no sense", position=2)
            return [recorded for recorded in page if recorded.position < 2 or page[0].position > 2]

    await log.add("A", "A")
    async with log.followed(pages=Pages()):
        await log.reached(await log.add("B"))
    assert log.acted == [("A", 3), ("B", 2)]
    assert [(parked.position, parked.error) for parked in log.work.kept.values()] == [(2, "Broken: no sense")]
