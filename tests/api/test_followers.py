"""How readiness and metrics tell of what follows the log outside the views: search copies and the relay."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest

from api import gauges, health
from api.queries.system import Part, State
from read_side.lag import Lag
from read_side.signals import Signals

AT = datetime(2025, 6, 21, 10, tzinfo=UTC)


def lag(name: str, *, events: int = 0, seconds: float = 0.0, error: str | None = None) -> Lag:
    """Return where a follower stands: at position 7."""
    return Lag(
        view=name,
        position=7,
        generation=1,
        events=events,
        seconds=seconds,
        stopped=error is not None,
        error=error,
        stopped_at=AT if error else None,
    )


class Told:
    """Lags as a test says they are; ``read`` hears of a head when they were asked for."""

    def __init__(self, *lags: Lag) -> None:
        self.told = list(lags)
        self.read = Signals()

    async def lags(self) -> list[Lag]:
        self.read.hear_head(self.read.head + 1)
        return self.told


async def test_a_follower_is_up_degraded_or_missing_and_never_down() -> None:
    told = Told(
        lag("copy/executions", events=3, seconds=0.25),
        lag("copy/rebalances", error="refused by the mapping"),
        lag("copy/transactions", events=900, seconds=10.5),
        lag("portfolios", error="another check's"),
    )
    expected = {
        "copy/executions": "search copy executions",
        "copy/rebalances": "search copy rebalances",
        "copy/transactions": "search copy transactions",
        "relay/foliolog.events": "relay",
    }
    where = {"position": 7}
    assert await health.followers(told, expected)() == [
        Part("search copy executions", State.UP, where | {"lag_events": 3, "lag_seconds": 0.25}),
        Part(
            "search copy rebalances",
            State.DEGRADED,
            where | {"lag_events": 0, "lag_seconds": 0.0, "error": "refused by the mapping", "stopped_at": AT},
        ),
        Part("search copy transactions", State.DEGRADED, where | {"lag_events": 900, "lag_seconds": 10.5}),
        Part("relay", State.DEGRADED, {"error": "nobody has led it yet"}),
    ]


async def test_metrics_tell_the_relay_from_views_and_copies() -> None:
    told = Told(lag("copy/executions", events=3, seconds=0.25), lag("relay/a.b", events=5), lag("relay/old"))
    registry = CollectorRegistry()
    async with gauges.lags(told, Signals(), registry, {"copy/executions", "relay/a.b"}):
        assert await told.read.wait_for_head(1, 5)
    shown = generate_latest(registry).decode()
    assert 'foliolog_view_lag_events{view="copy/executions"} 3.0' in shown
    assert 'foliolog_view_lag_seconds{view="copy/executions"} 0.25' in shown
    assert 'foliolog_relay_lag_events{relay="a.b"} 5.0' in shown
    assert 'foliolog_relay_stopped{relay="a.b"} 0.0' in shown
    assert "relay/" not in shown
    assert "old" not in shown
