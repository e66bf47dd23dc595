"""Batches: which number takes which windows, what each may become, and the lines of its file byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.batch import (
    HEADER,
    Batch,
    BatchFailed,
    BatchHandedOver,
    BatchRejected,
    BatchSent,
    BatchSequence,
    BatchStatus,
    BatchWritten,
    Quantity,
    Stage,
    Window,
    file_name,
    line,
)
from domain.errors import Broken, RuleViolated
from domain.execution import ExecutionRecorded
from tests.domain.executions import NOW, recorded
from tests.domain.given import given

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sequence() -> BatchSequence:
    return BatchSequence.begin(NOW)


def started(order: BatchSequence, head: int, at: datetime = NOW, *, count: int = 3) -> Batch:
    return order.start(head, count=count, quantity=Quantity.QUANTITY, by_cli=True, at=at)


def failed() -> Batch:
    batch = started(sequence(), 10)
    batch.fail(Stage.CLI, "exit code 1", NOW, exit_code=1, output="no")
    return batch


def test_the_first_batch_takes_everything_from_the_beginning_of_the_log() -> None:
    batch = started(sequence(), 10)
    assert (batch.batch_id, batch.windows) == (1, (Window(0, 10),))
    assert (batch.start_time, batch.previous_start_time) == (NOW, EPOCH)
    assert batch.file_name == "transactions_20250621_100000_1.csv"
    assert (batch.status, batch.attempts, batch.count) == (BatchStatus.RUNNING, 0, 3)


def test_windows_follow_each_other_without_gap_and_without_overlap() -> None:
    order, batches = sequence(), []
    for number, head in enumerate((10, 11, 500), 1):
        batches.append(started(order, head, NOW + timedelta(hours=number)))
        order.settle(number, NOW)
    assert [batch.batch_id for batch in batches] == [1, 2, 3]
    assert [batch.windows for batch in batches] == [(Window(0, 10),), (Window(10, 11),), (Window(11, 500),)]
    assert order.next_windows(600) == (Window(500, 600),)
    assert batches[-1].previous_start_time == NOW + timedelta(hours=2)


def test_no_new_batch_goes_before_one_that_is_still_to_be_sent() -> None:
    order = sequence()
    started(order, 10)
    with pytest.raises(RuleViolated, match="batch 1 is still to be sent"):
        started(order, 20)


def test_start_times_rise_although_the_clock_stands_or_goes_back() -> None:
    order = sequence()
    first = started(order, 10)
    order.settle(1, NOW)
    second = started(order, 20, NOW - timedelta(days=1))
    assert second.start_time == first.start_time + timedelta(microseconds=1)


def test_a_cancelled_batch_gives_its_windows_to_the_next_new_one() -> None:
    order = sequence()
    first = started(order, 10)
    order.settle(1, NOW)
    second = started(order, 20)
    second.fail(Stage.CLI, "exit code 1", NOW)
    second.cancel(NOW)
    order.take_back(second, NOW)
    third = started(order, 30)
    assert third.windows == (Window(10, 20), Window(20, 30))
    assert third.returned == (2,)
    third.fail(Stage.CLI, "exit code 1", NOW)
    third.cancel(NOW)
    order.take_back(third, NOW)
    fourth = started(order, 30)
    assert fourth.windows == (Window(10, 20), Window(20, 30)), "nothing new was recorded"
    assert (fourth.returned, first.windows) == ((3,), (Window(0, 10),))
    order.settle(4, NOW)
    assert order.next_windows(30) == ()


@for_all(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["sent", "cancelled", "failed, then sent"])), max_size=20)
)
def test_every_position_is_in_exactly_one_batch_that_is_not_cancelled(runs: list[tuple[int, str]]) -> None:
    order, head, alive = sequence(), 0, []
    for grown, fate in runs:
        head += grown
        if not order.next_windows(head):
            continue
        batch = started(order, head)
        if fate == "cancelled":
            batch.fail(Stage.FILE, "disk full", NOW)
            batch.cancel(NOW)
            order.take_back(batch, NOW)
            continue
        if fate != "sent":
            batch.fail(Stage.CLI, "exit code 1", NOW)
        batch.send(NOW)
        order.settle(batch.batch_id, NOW)
        alive.append(batch)
    taken = [position for batch in alive for w in batch.windows for position in range(w.after + 1, w.up_to + 1)]
    waiting = [position for w in order.next_windows(head) for position in range(w.after + 1, w.up_to + 1)]
    assert sorted([*taken, *waiting]) == list(range(1, head + 1))


def test_a_batch_is_written_handed_over_and_sent() -> None:
    def decide(batch: Batch) -> None:
        batch.write("ab" * 32, 100, NOW)
        batch.write("ab" * 32, 100, NOW)
        batch.hand_over(NOW)
        batch.hand_over(NOW)
        batch.send(NOW, rejected={"unknown security": [7, 3], "price": [5]}, exit_code=0, output="done")

    batch = started(sequence(), 10)
    given(batch).when(decide).then(
        (BatchWritten, {"sha256": "ab" * 32, "size": 100}),
        (BatchHandedOver, {"attempt": 1}),
        (BatchHandedOver, {"attempt": 2}),
        (BatchRejected, {"rejected": {"unknown security": (3, 7), "price": (5,)}}),
        (BatchSent, {"rejected_count": 3, "exit_code": 0, "output": "done"}),
    )
    assert batch.status is BatchStatus.PARTIAL
    assert batch.rejected == {3: "unknown security", 7: "unknown security", 5: "price"}


def test_many_rejected_executions_stand_in_several_events() -> None:
    batch = started(sequence(), 5_000)
    batch.collect_events()
    batch.send(NOW, rejected={"no": range(1, 2_502)})
    events = batch.collect_events()
    assert [type(event) for event in events] == [BatchRejected, BatchRejected, BatchRejected, BatchSent]
    assert len(batch.rejected) == 2_501


def test_a_file_made_anew_has_the_bytes_it_had() -> None:
    batch = started(sequence(), 10)
    batch.write("ab" * 32, 100, NOW)
    with pytest.raises(Broken, match="had SHA-256 abab"):
        batch.write("cd" * 32, 100, NOW)


def test_a_failed_batch_is_running_again_once_it_is_retried() -> None:
    batch = failed()
    batch.try_again(NOW)
    assert (batch.status, batch.stage, batch.reason) == (BatchStatus.RUNNING, None, None)
    assert (batch.exit_code, batch.output) == (None, "")
    with pytest.raises(RuleViolated, match="batch 1 is RUNNING: only a FAILED one can be retried"):
        batch.try_again(NOW)


def test_a_start_of_the_cli_is_untold_until_its_end_is_noted() -> None:
    batch, untold = started(sequence(), 10), []
    untold.append(batch.untold)
    batch.hand_over(NOW)
    batch.fail(Stage.FILE, "the folder is not mounted", NOW)
    batch.try_again(NOW)
    untold.append(batch.untold)
    batch.fail(Stage.CLI, "exit code 1", NOW, ended=True, exit_code=1)
    untold.append(batch.untold)
    batch.try_again(NOW)
    batch.hand_over(NOW)
    untold.append(batch.untold)
    batch.send(NOW)
    untold.append(batch.untold)
    assert untold == [False, True, False, True, False]


def test_only_a_failed_batch_can_be_cancelled() -> None:
    batch = started(sequence(), 10)
    with pytest.raises(RuleViolated, match="batch 1 is RUNNING: only a FAILED one can be cancelled"):
        batch.cancel(NOW)
    batch.send(NOW)
    with pytest.raises(RuleViolated, match="batch 1 is SENT"):
        batch.cancel(NOW)


@pytest.mark.parametrize("end", ["send", "cancel"])
def test_nothing_more_happens_to_a_batch_that_has_ended(end: str) -> None:
    batch = failed()
    getattr(batch, end)(NOW)
    decisions: list[Callable[[], None]] = [
        lambda: batch.hand_over(NOW),
        lambda: batch.send(NOW),
        lambda: batch.fail(Stage.CLI, "late", NOW),
        lambda: batch.write("ab" * 32, 1, NOW),
        lambda: batch.try_again(NOW),
    ]
    for decide in decisions:
        with pytest.raises(RuleViolated, match=f"batch 1 is {batch.status}"):
            decide()


def test_why_it_failed_stands_until_it_is_sent() -> None:
    batch = failed()
    assert (batch.stage, batch.reason, batch.exit_code, batch.output) == (Stage.CLI, "exit code 1", 1, "no")
    assert isinstance(batch.collect_events()[-1], BatchFailed)
    batch.try_again(NOW)
    batch.send(NOW, exit_code=0, output="yes")
    assert (batch.stage, batch.reason, batch.exit_code, batch.output) == (None, None, 0, "yes")


def test_the_file_is_named_by_moment_and_number() -> None:
    assert (
        file_name(42, datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == "transactions_20241231_235959_42.csv"
    )


def test_the_line_of_an_execution_byte_for_byte() -> None:
    execution = recorded("ACC:1.x", quantity=Decimal(1_000), average_price=Decimal("57.123456789"))
    (event,) = execution.collect_events()
    assert isinstance(event, ExecutionRecorded)
    assert HEADER == "portfolio_id,security_id,source_id,transaction_type,quantity,price,transaction_date\n"
    assert line(12, event, Quantity.QUANTITY) == (
        "ACC:1.x,TECH123456789012345678AB,AC12,BUY,1000.00000000,57.12345679,20250617\n"
    )


@pytest.mark.parametrize(
    ("quantity", "shown"),
    [(Quantity.QUANTITY, "9999999999.00000000"), (Quantity.FILLED, "0.00000001")],
)
def test_the_line_has_the_quantity_that_is_set(quantity: Quantity, shown: str) -> None:
    execution = recorded(trade_type="SELL", quantity=Decimal("9999999999"), quantity_filled=Decimal("0.00000001"))
    (event,) = execution.collect_events()
    assert isinstance(event, ExecutionRecorded)
    assert line(7, event, quantity).split(",")[3:5] == ["SELL", shown]
