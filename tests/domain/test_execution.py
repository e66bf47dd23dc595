"""Executions as they are reported, recorded, kept and sent again; and the day on which they count as traded."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.errors import RuleViolated
from domain.execution import (
    MAX_SERVICE_ID,
    Booking,
    Execution,
    ExecutionLookUpFailedAgain,
    ExecutionResendRequested,
    FailedExecution,
    FailedExecutionRecorded,
)
from domain.trading_day import trading_day
from tests.domain.executions import NOW, recorded, reported
from tests.domain.given import given


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2025-06-18T01:00:00+00:00", "2025-06-17"),
        ("2025-01-15T04:59:00+00:00", "2025-01-14"),
        ("2025-01-15T05:00:00+00:00", "2025-01-15"),
        ("2025-06-18T03:59:59.999999+00:00", "2025-06-17"),
        ("2025-06-18T04:00:00+00:00", "2025-06-18"),
        # Clocks go forward on 9 March 2025 at 2:00: the midnight before is at 5:00 UTC, the one after at 4:00.
        ("2025-03-09T04:59:59+00:00", "2025-03-08"),
        ("2025-03-09T05:00:00+00:00", "2025-03-09"),
        ("2025-03-10T03:59:59+00:00", "2025-03-09"),
        ("2025-03-10T04:00:00+00:00", "2025-03-10"),
        # And back on 2 November 2025: the day has 25 hours.
        ("2025-11-02T03:59:59+00:00", "2025-11-01"),
        ("2025-11-02T04:00:00+00:00", "2025-11-02"),
        ("2025-11-03T04:59:59+00:00", "2025-11-02"),
        ("2025-11-03T05:00:00+00:00", "2025-11-03"),
        # Years end by New York, in whatever zone the time was written.
        ("2026-01-01T04:59:59+00:00", "2025-12-31"),
        ("2026-01-01T05:00:00+00:00", "2026-01-01"),
        ("2026-01-01T13:30:00+09:00", "2025-12-31"),
        ("2024-03-01T00:30:00-05:00", "2024-03-01"),
        ("2024-03-01T04:30:00+00:00", "2024-02-29"),
    ],
)
def test_the_trade_date_is_the_day_in_new_york(moment: str, day: str) -> None:
    assert trading_day(at(moment)) == date.fromisoformat(day)
    assert recorded(sent=at(moment).astimezone(UTC)).trade_date == date.fromisoformat(day)


@for_all(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_the_zone_a_time_is_written_in_does_not_matter(moment: datetime, minutes: int) -> None:
    utc = moment.replace(tzinfo=UTC)
    elsewhere = utc.astimezone(timezone(timedelta(minutes=minutes)))
    assert trading_day(elsewhere) == trading_day(utc) == utc.astimezone(ZoneInfo("America/New_York")).date()


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ("57.123456789", "57.12345679"),
        ("0.000000015", "0.00000002"),
        ("0.000000025", "0.00000002"),
        ("1.10", "1.1"),
        ("100", "100"),
        ("1E+2", "100"),
        ("9999999999.999999994", "9999999999.99999999"),
    ],
)
def test_figures_are_stored_with_8_places(given_: str, stored: str) -> None:
    report = reported(quantity=Decimal(given_), limit_price=-Decimal(given_), total_amount=Decimal(given_)).report()
    figures = (report.quantity, report.limit_price or 0, report.total_amount)
    assert [f"{figure:f}" for figure in figures] == [stored, f"-{stored}", stored]


@pytest.mark.parametrize("figure", ["10000000000", "9999999999.999999995", "1E+300", "9" * 400, f"{'9' * 300}E+200"])
def test_figures_have_10_digits_before_the_point(figure: str) -> None:
    assert [fault.pointer for fault in reported(quantity=Decimal(figure)).faults()] == ["/quantity"]
    assert (
        reported(limit_price=-Decimal(figure))
        .faults()[0]
        .detail.endswith("digits before the point, at most 10 are taken")
    )


@pytest.mark.parametrize("service_id", [None, 0, -1, MAX_SERVICE_ID + 1])
def test_an_id_is_a_positive_integer_that_every_reader_keeps(service_id: int | None) -> None:
    assert [fault.pointer for fault in reported(execution_service_id=service_id).faults()] == ["/executionServiceId"]
    assert reported(execution_service_id=MAX_SERVICE_ID).faults() == []


def test_what_the_report_names_as_order_goes_before_what_the_trade_service_knows() -> None:
    report = reported(order_id="mine").report()
    assert Execution.record(1, report, "ACC-1", NOW, order_id="theirs").order_id == "mine"
    assert Execution.record(1, reported().report(), "ACC-1", NOW, order_id="theirs").order_id == "theirs"


def test_a_recorded_execution_is_not_booked_and_in_no_batch() -> None:
    execution = recorded("ACC-7")
    assert (execution.service_id, execution.portfolio_id, execution.version) == (4711, "ACC-7", 1)
    assert (execution.booking, execution.recorded_at, execution.resent_for) == (Booking.NONE, NOW, 0)


def test_it_is_sent_again_once_for_each_batch_that_has_rejected_it() -> None:
    execution = given(recorded())
    execution.when(lambda it: it.send_again(7, 2, NOW)).then(
        (ExecutionResendRequested, {"execution_id": 7, "batch_id": 2})
    )
    for batch_id in (1, 2):
        with pytest.raises(RuleViolated, match="execution 7 is on its way again since batch 2"):
            execution.when(lambda it, batch_id=batch_id: it.send_again(7, batch_id, NOW))  # type: ignore[misc]
    execution.when(lambda it: it.send_again(7, 3, NOW)).then((ExecutionResendRequested, {"batch_id": 3}))


def test_a_failed_one_keeps_what_was_reported_last_until_it_is_recorded() -> None:
    failed = given(FailedExecution.keep(7, reported().report(), "away", NOW))
    later = reported(quantity=Decimal(3)).report()
    failed.when(lambda it: it.fail_again(later, "still away", NOW)).then(
        (ExecutionLookUpFailedAgain, {"reason": "still away", "report": later})
    )
    assert (failed.aggregate.service_id, failed.aggregate.reason) == (7, "still away")
    failed.when(lambda it: it.leave(NOW)).then((FailedExecutionRecorded, {}))
    failed.when(lambda it: it.leave(NOW)).then()
    failed.when(lambda it: it.fail_again(later, "again", NOW)).then()
