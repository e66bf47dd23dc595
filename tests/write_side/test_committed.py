"""Who listens to commits hears every group of this process once, in order, before anybody is answered."""

from __future__ import annotations

import asyncio

from domain.base import Event
from tests.servers.proxy import proxy_to, through, to_socket
from tests.write_side.stores import event_store


async def test_every_event_is_heard_at_its_position_before_its_command_is_answered(database_url: str) -> None:
    heard: dict[int, Event] = {}

    def hear(base: int, events: list[Event]) -> None:
        assert not heard.keys() & range(base + 1, base + len(events) + 1)
        heard.update(enumerate(events, base + 1))

    async with event_store(database_url) as one:
        one.appender.committed = hear

        async def work(portfolio_id: str) -> None:
            position = (await one.open(portfolio_id)).position
            for _ in range(20):
                assert position in heard
                position = (await one.move(portfolio_id, "1", "2", "-1")).position
            assert position in heard

        await asyncio.gather(*(work(f"P{number}") for number in range(10)))
        page = await one.log.page(0, 10_000)
        assert [(recorded.position, recorded.event) for recorded in page] == sorted(heard.items())


async def test_what_others_append_is_not_heard_and_leaves_a_gap(database_url: str) -> None:
    heard: list[tuple[int, int]] = []
    async with event_store(database_url) as one, event_store(database_url) as other:
        one.appender.committed = lambda base, events: heard.append((base, len(events)))
        await one.open("A")
        await other.open("B")
        await other.move("B", "1", "1")
        await one.move("A", "1", "1")
    assert heard == [(0, 1), (4, 2)]


async def test_a_commit_whose_reply_is_lost_is_not_heard(database_url: str) -> None:
    """It is settled from the log: who listens sees a gap, and reads it."""
    heard: list[tuple[int, int]] = []
    async with (
        proxy_to(to_socket(database_url)) as proxy,
        event_store(database_url, append_url=through(proxy, database_url)) as one,
    ):
        one.appender.committed = lambda base, events: heard.append((base, len(events)))
        await one.open("A", "1")
        proxy.lose_next_reply()
        assert (await one.move("A", "1", "2")).position == 3
        assert proxy.lost_replies == 1
        await one.move("A", "4")
        assert await one.log.head() == 4
    assert heard == [(0, 1), (3, 1)]
