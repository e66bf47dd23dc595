"""How readiness and metrics tell of what follows the log outside the views: search copies and the relay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from api import gauges, health
from api.queries.system import Part, State
from domain.errors import StoreUnavailable
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
        self.failure: Exception | None = None
        self.read = Signals()

    async def lags(self) -> list[Lag]:
        self.read.hear_head(self.read.head + 1)
        if self.failure is not None:
            raise self.failure
        return self.told

    async def asked_again(self) -> None:
        """Return when what was asked for from now on has been answered."""
        assert await self.read.wait_for_head(self.read.head + 2, 60)


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
        assert await told.read.wait_for_head(1, 60)
    shown = generate_latest(registry).decode()
    assert 'foliolog_view_lag_events{view="copy/executions"} 3.0' in shown
    assert 'foliolog_view_lag_seconds{view="copy/executions"} 0.25' in shown
    assert 'foliolog_relay_lag_events{relay="a.b"} 5.0' in shown
    assert 'foliolog_relay_stopped{relay="a.b"} 0.0' in shown
    assert "relay/" not in shown
    assert "old" not in shown


@pytest.mark.parametrize("failure", [StoreUnavailable("PostgreSQL cannot be reached"), RuntimeError("no such table")])
async def test_what_cannot_be_measured_is_not_shown_and_comes_back(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "_MEASURE_EVERY", 0.001)
    told, registry = Told(lag("portfolios", events=3)), CollectorRegistry()
    figure = 'foliolog_view_lag_events{view="portfolios"} 3.0'
    with structlog.testing.capture_logs() as lines:
        async with gauges.lags(told, Signals(), registry, {"portfolios"}):
            await told.asked_again()
            assert figure in generate_latest(registry).decode()
            told.failure = failure
            await told.asked_again()
            await told.asked_again()
            assert 'view="portfolios"' not in generate_latest(registry).decode()
            told.failure = None
            await told.asked_again()
            assert figure in generate_latest(registry).decode()
    assert {line["event"] for line in lines} == {"lag not measured"}
    if isinstance(failure, RuntimeError):  # where it happened, once
        assert [line["exc_info"] for line in lines] == [True]


async def test_the_lag_of_consumers_is_not_shown_while_the_brokers_do_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gauges, "_MEASURE_EVERY", 0.001)
    told, registry = Measured(), CollectorRegistry()
    async with gauges.consumers(told, registry):
        assert await told.read.wait_for_head(told.read.head + 2, 60)
        assert 'foliolog_consumer_lag_records{group="ours"} 4.0' in generate_latest(registry).decode()
        told.error = "no brokers"
        assert await told.read.wait_for_head(told.read.head + 2, 60)
        assert "ours" not in generate_latest(registry).decode()


class Measured:
    """The lag of a consumer group, which keeps its figure while ``error`` says that it is not of now."""

    def __init__(self) -> None:
        self.lags = {"ours": 4}
        self.error: str | None = None
        self.read = Signals()

    async def measure(self) -> None:
        self.read.hear_head(self.read.head + 1)


@pytest.mark.parametrize("failure", [StoreUnavailable("gone"), RuntimeError("no such table")])
async def test_a_check_that_fails_however_is_a_part_that_is_down(failure: Exception) -> None:
    told = Told()
    told.failure = failure

    async def fine() -> list[Part]:
        return [Part("fine", State.UP)]

    checks = health.Checks({"views": health.views(told, ["portfolios"]), "fine": fine})
    with structlog.testing.capture_logs() as lines:
        down, up = await checks.parts()
    assert (down.name, down.state, up) == ("views", State.DOWN, Part("fine", State.UP))
    assert str(failure) in str(down.members["error"])
    logged = [] if isinstance(failure, StoreUnavailable) else [("a part cannot be checked", "views", True)]
    assert [(line["event"], line["part"], line["exc_info"]) for line in lines] == logged
