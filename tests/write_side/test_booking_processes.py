"""Several processes on one database: a booking is decided on the portfolio as the log has it, and done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from read_side.adapters.postgres_work import PostgresWorkSource
from read_side.work import ParkedWork
from tests.projections.logs import Process, process
from tests.write_side.booking import BOOKED, PARKED, ByLog, Desk, bookings
from tests.write_side.stores import event_store
from write_side.adapters.postgres_work import PostgresWork, PostgresWorkLeadership
from write_side.follower import Follower


async def test_a_sale_of_what_another_process_has_just_bought_is_booked(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as two:
        here, there = Desk(one.log), Desk(two.log)
        await here.open()
        await here.record(1)
        await here.record(2, "SELL")
        await there.book(1)
        await here.book(2)
        assert await here.states(1, 2) == [BOOKED, BOOKED]
        assert (await here.execution(2)).version == 2
        assert ((await here.portfolio()).cash, (await here.portfolio()).version) == (Decimal(1000), 3)


async def test_a_portfolio_that_another_process_has_suspended_takes_nothing(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as two:
        here, there = Desk(one.log), Desk(two.log)
        await here.open()
        await here.record(1)
        await there.become("SUSPENDED")
        await here.book(1)
        await there.become("ACTIVE")
        assert await there.states(1) == [PARKED]
        await here.again(1)
        assert await there.states(1) == [BOOKED]


async def test_one_execution_booked_by_many_at_once_is_booked_once(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as two:
        desks = [Desk(one.log), Desk(two.log)]
        await desks[0].open()
        await desks[0].record(1)
        await asyncio.gather(*(desks[number % 2].book(1) for number in range(10)))
        assert (await desks[0].execution(1)).version == 2
        assert ((await desks[0].portfolio()).cash, (await desks[0].portfolio()).version) == (Decimal(950), 2)


@asynccontextmanager
async def follower(desk: Desk, reading: Process, leadership: PostgresWorkLeadership) -> AsyncIterator[None]:
    """Book meanwhile what this desk's process reads."""
    log = reading.history
    one = Follower(
        policy=bookings(desk, ByLog(log, log.head)),
        pages=log,
        leadership=leadership,
        wait=reading.signals.wait_for_head,
        page_size=7,
        slowest=0.1,
        first_pause=0.001,
    )
    one.start()
    try:
        yield
    finally:
        await one.close()


async def test_two_workers_that_both_believe_to_lead_book_each_once(database_url: str) -> None:
    class Open(PostgresWorkLeadership):
        """Leadership without a lock."""

        @asynccontextmanager
        async def lead(self, policy: str) -> AsyncIterator[PostgresWork]:
            yield PostgresWork(reading.pool.connection)

    async with event_store(database_url) as one, event_store(database_url) as two, process(database_url) as reading:
        desk, open_to_all = Desk(one.log), Open(database_url)
        asked = ParkedWork(PostgresWorkSource(reading.pool.connection), reading.signals)
        async with follower(desk, reading, open_to_all), follower(Desk(two.log), reading, open_to_all):
            await desk.open("P")
            for start in range(0, 60, 20):
                await desk.record_all(
                    *((number, "BUY", "1", "PQR"[number % 3]) for number in range(start + 1, start + 21))
                )
            await desk.open("Q")
            head = (await desk.record(61, "SELL", "20", "P")) + 1
            await desk.open("R")
            await asked.listed(at_least=head, wait=60)
        async with follower(desk, reading, open_to_all):
            assert (await asked.listed(at_least=await one.log.head(), wait=60)).rows == []
        assert set(await desk.states(*range(1, 62))) == {BOOKED}
        for key, cash, version in (("P", 1000, 22), ("Q", 900, 21), ("R", 900, 21)):
            portfolio = await desk.portfolio(key)
            assert (portfolio.cash, portfolio.version) == (Decimal(cash), version)


async def test_a_worker_that_begins_books_what_was_recorded_before_it(database_url: str) -> None:
    async with event_store(database_url) as one, process(database_url) as reading:
        desk, leadership = Desk(one.log), PostgresWorkLeadership(database_url)
        asked = ParkedWork(PostgresWorkSource(reading.pool.connection), reading.signals)
        await desk.open()
        for number in range(1, 6):
            async with follower(desk, reading, leadership):
                head = await desk.record(number)
                await asked.listed(at_least=head, wait=60)
        assert ((await desk.portfolio()).cash, (await desk.portfolio()).version) == (Decimal(750), 6)
