"""A desk that records executions and sends them in batches, as events of the aggregates themselves."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from domain.base import Aggregate, Event
from domain.batch import Batch, BatchSequence, BatchStatus, Quantity, Stage
from domain.execution import Execution, ExecutionBooked, FailedExecution
from tests.domain.executions import NOW, recorded, reported

SHA256 = "349acc472da8c8532eb5f24ea6bdaf8fcd298db63276b03842fa1d79b368b5d2"


class Desk:
    """Everything that happens on it stands in ``events``, whose places are the log positions."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.executions: dict[int, Execution] = {}
        """By id."""
        self.failed: dict[int, FailedExecution] = {}
        """By the id of the trade service."""
        self.batches: dict[int, Batch] = {}
        self._sequence = BatchSequence.begin(NOW)
        self._took(self._sequence)

    def record(self, service_id: int, portfolio_id: str = "ACC-1", **members: Any) -> int:
        """Return the id of the execution."""
        execution = recorded(portfolio_id, execution_service_id=service_id, **members)
        self._took(execution)
        self.executions[len(self.events)] = execution
        return len(self.events)

    def book(self, execution_id: int) -> None:
        execution = self.executions[execution_id]
        execution.trigger_event(ExecutionBooked, timestamp=NOW, portfolio_version=2)
        self._took(execution)

    def park(self, execution_id: int, reason: str) -> None:
        execution = self.executions[execution_id]
        execution.park(reason, NOW)
        self._took(execution)

    def send_again(self, execution_id: int, number: int) -> None:
        execution = self.executions[execution_id]
        execution.send_again(execution_id, number, NOW)
        self._took(execution)

    def fail(self, service_id: int, reason: str = "no answer", **members: Any) -> None:
        """Let a look-up fail, for the first time or again."""
        report = reported(execution_service_id=service_id, **members).report()
        at = NOW + timedelta(seconds=len(self.events))
        if service_id in self.failed:
            self.failed[service_id].fail_again(report, reason, at)
        else:
            self.failed[service_id] = FailedExecution.keep(service_id, report, reason, at)
        self._took(self.failed[service_id])

    def leave(self, service_id: int) -> None:
        """Let what had failed be recorded."""
        failed = self.failed.pop(service_id)
        failed.leave(NOW)
        self._took(failed)

    def start(self, count: int = 1, *, by_cli: bool = True) -> int:
        """Return the number of a new batch, which takes everything so far."""
        head = len(self.events)
        batch = self._sequence.start(head, count=count, quantity=Quantity.QUANTITY, by_cli=by_cli, at=NOW)
        self.batches[batch.batch_id] = batch
        self._took(self._sequence, batch)
        return batch.batch_id

    def attempt(self, number: int) -> None:
        """Let the file be there and the CLI be started."""
        batch = self.batches[number]
        if batch.status is BatchStatus.FAILED:
            batch.try_again(NOW)
        batch.write(SHA256, 500, NOW)
        batch.hand_over(NOW)
        self._took(batch)

    def fails(self, number: int, reason: str = "the CLI ended with exit code 1", output: str = "no\n") -> None:
        batch = self.batches[number]
        batch.fail(Stage.CLI, reason, NOW, ended=True, exit_code=1, output=output)
        self._took(batch)

    def sends(self, number: int, rejected: Mapping[int, str] | None = None) -> None:
        """Let the batch end well, with these executions rejected."""
        batch = self.batches[number]
        by_reason: dict[str, list[int]] = {}
        for execution_id, reason in (rejected or {}).items():
            by_reason.setdefault(reason, []).append(execution_id)
        batch.send(NOW, rejected=by_reason, exit_code=0, output="ok\n")
        self._sequence.settle(number, NOW)
        self._took(batch, self._sequence)

    def cancel(self, number: int) -> None:
        batch = self.batches[number]
        batch.cancel(NOW)
        self._sequence.take_back(batch, NOW)
        self._took(batch, self._sequence)

    def _took(self, *aggregates: Aggregate) -> None:
        for aggregate in aggregates:
            self.events += aggregate.collect_events()


def random_desk(seed: int, steps: int) -> Desk:
    """Return a desk after so many steps, in any order that can be."""
    choose, desk, service_ids = random.Random(seed), Desk(), iter(range(1000, 10**6))
    going: int | None = None
    for _ in range(steps):
        match choose.randrange(10):
            case 0 | 1 | 2 | 3:
                _record(choose, desk, next(service_ids))
            case 4:
                execution_id = choose.choice([*desk.executions, 0])
                if execution_id and desk.executions[execution_id].to_be_booked:
                    if choose.random() < 0.5:
                        desk.book(execution_id)
                    else:
                        desk.park(execution_id, choose.choice(("portfolio is unknown", "SUSPENDED")))
            case 5:
                again = choose.choice([*desk.failed, next(service_ids)])
                desk.fail(again, choose.choice(("no answer", "kein Konto für “ü”")))
            case 6 if desk.failed:
                service_id = choose.choice(list(desk.failed))
                desk.leave(service_id)
                _record(choose, desk, service_id)
            case 7 | 8 if going is None:
                going = desk.start(by_cli=choose.random() < 0.8)
            case 7 | 8 | 9 if going is not None:
                going = _go_on(choose, desk, going)
            case _:
                _again(choose, desk)
    return desk


def _record(choose: random.Random, desk: Desk, service_id: int) -> None:
    filled = choose.choice((0, 10, 100))
    desk.record(service_id, f"ACC-{choose.randrange(3)}", quantity_filled=filled, order_id=choose.choice((None, "O-1")))


def _go_on(choose: random.Random, desk: Desk, number: int) -> int | None:
    """Let something happen to the batch; return its number while it is still to be sent."""
    if desk.batches[number].status is BatchStatus.FAILED and choose.random() < 0.5:
        desk.cancel(number)
        return None
    match choose.randrange(4):
        case 0:
            desk.attempt(number)
        case 1 | 2:
            desk.fails(number)
        case _:
            some = [each for each in desk.executions if choose.random() < 0.2]
            desk.sends(number, {each: choose.choice(("unknown", "closed")) for each in some})
            return None
    return number


def _again(choose: random.Random, desk: Desk) -> None:
    rejected = [
        (each, number)
        for number, batch in desk.batches.items()
        for each in batch.rejected
        if desk.executions[each].resent_for < number
    ]
    if rejected:
        desk.send_again(*choose.choice(rejected))
