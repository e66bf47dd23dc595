"""What is counted of HTTP: requests and their time by route, and how many are being answered."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class HttpMetrics:
    """Counts requests by route template, method and status; the names of routes and methods are bounded."""

    def __init__(self, registry: CollectorRegistry, in_flight: InFlight) -> None:
        self._requests = Counter(
            "foliolog_http_requests", "HTTP requests answered", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "foliolog_http_request_duration_seconds",
            "Time from a request to the end of its answer",
            ["route", "method"],
            registry=registry,
            buckets=_BUCKETS,
        )
        gauge = Gauge("foliolog_http_requests_in_flight", "HTTP requests being answered", registry=registry)
        gauge.set_function(lambda: in_flight.count)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (route, method, status)
        children = self._known.get(key)
        if children is None:
            name = method if method in _METHODS else "other"
            children = (self._requests.labels(route, name, str(status)), self._seconds.labels(route, name))
            if name == method:
                self._known[key] = children
        requests, duration = children
        requests.inc()
        duration.observe(seconds)


class InFlight:
    """The requests being answered; a server that stops waits until there are none."""

    def __init__(self) -> None:
        self.count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        """One more."""
        self.count += 1
        if self.count == 1:
            self._empty.clear()

    def leave(self) -> None:
        """One less."""
        self.count -= 1
        if not self.count:
            self._empty.set()

    async def drained(self) -> None:
        """Return when none is left."""
        await self._empty.wait()
