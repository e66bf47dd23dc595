"""The stock ``eventsourcing`` library on the same server, as the baseline of the log's figures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from threading import Thread
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.harness import Place


class Account(Aggregate):
    """A portfolio as the stock library would have it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cash = Decimal(0)

    @event("Deposited")
    def deposit(self, amount: Decimal, cash: Decimal) -> None:
        """Take the balance afterwards, as our event does."""
        self.cash = cash


@contextmanager
def _application(place: Place, threads: int) -> Iterator[Application[UUID]]:
    parts = urlsplit(place.database_url)
    query = parse_qs(parts.query)
    application = Application[UUID](
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": parts.path.lstrip("/"),
            "POSTGRES_HOST": query["host"][0],
            "POSTGRES_PORT": "5432",
            "POSTGRES_USER": parts.username or "",
            "POSTGRES_PASSWORD": "",
            "POSTGRES_POOL_SIZE": str(threads),
        }
    )
    try:
        yield application
    finally:
        application.close()


def saves(place: Place, *, threads: int, seconds: float) -> float:
    """Return events a second of the library's ``save``, one new aggregate a call."""
    saved = [0] * threads
    with _application(place, threads) as application:
        stop = time.perf_counter() + seconds

        def work(number: int) -> None:
            while time.perf_counter() < stop:
                application.save(Account("bench"))
                saved[number] += 1

        started = time.perf_counter()
        workers = [Thread(target=work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(saved) / (time.perf_counter() - started)


def loads(place: Place, *, events: int, times: int) -> list[float]:
    """Return the seconds of each ``repository.get`` of an aggregate with so many events."""
    with _application(place, 1) as application:
        account = Account("bench")
        for number in range(events - 1):
            account.deposit(Decimal("10.25"), Decimal("10.25") * (number + 1))
        application.save(account)
        latencies = []
        for _ in range(times):
            began = time.perf_counter()
            found: Account = application.repository.get(account.id)
            latencies.append(time.perf_counter() - began)
            assert found.version == events
        return latencies
