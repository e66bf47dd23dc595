"""A batch from its start to its end, and the sequence that gives every execution to exactly one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Self, assert_never

from domain.base import Aggregate
from domain.batch.events import (
    BatchCancelled,
    BatchEvent,
    BatchFailed,
    BatchHandedOver,
    BatchNumbered,
    BatchRejected,
    BatchRetried,
    BatchReturned,
    BatchSent,
    BatchSequenceBegun,
    BatchSettled,
    BatchStarted,
    BatchStatus,
    BatchWritten,
    Quantity,
    SequenceEvent,
    Stage,
    Window,
)
from domain.batch.file import file_name
from domain.errors import Broken, RuleViolated

BEFORE_ALL: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The previous start time of the first batch (contract "001")."""
REJECTED_AT_ONCE: Final = 1_000
"""So many rejected executions stand in one event."""
_LIVE = frozenset({BatchStatus.RUNNING, BatchStatus.FAILED})


class Batch(Aggregate):
    """One batch; its natural key is its number."""

    TOPIC = "batch"
    CACHED = False

    windows: tuple[Window, ...]
    returned: tuple[int, ...]
    previous_start_time: datetime
    file_name: str
    quantity: Quantity
    by_cli: bool
    count: int
    start_time: datetime = BEFORE_ALL
    status: BatchStatus = BatchStatus.RUNNING
    sha256: str | None = None
    attempts: int = 0
    """How often the CLI was started."""
    told: int = 0
    """The last start of the CLI whose end is known."""
    exit_code: int | None = None
    output: str = ""
    stage: Stage | None = None
    reason: str | None = None
    """Where and why it has failed."""
    rejected: dict[int, str] = field(default_factory=dict)
    """Why executions were rejected, by their id."""

    @classmethod
    def start(
        cls,
        batch_id: int,
        windows: Sequence[Window],
        *,
        returned: Sequence[int],
        previous_start_time: datetime,
        quantity: Quantity,
        by_cli: bool,
        count: int,
        at: datetime,
    ) -> Self:
        """Return the batch as it begins."""
        return cls._create(
            BatchStarted,
            id=cls.stream(str(batch_id)),
            timestamp=at,
            windows=tuple(windows),
            returned=tuple(returned),
            previous_start_time=previous_start_time,
            file_name=file_name(batch_id, at),
            quantity=quantity,
            by_cli=by_cli,
            count=count,
        )

    @property
    def batch_id(self) -> int:
        """The natural key."""
        return int(self.key)

    @property
    def live(self) -> bool:
        """Whether it is still to be sent."""
        return self.status in _LIVE

    @property
    def untold(self) -> bool:
        """Whether the CLI was started and nobody has noted how that ended."""
        return self.attempts > self.told

    def try_again(self, at: datetime) -> None:
        """Let one that has failed be under way again; raises ``RuleViolated`` for any other."""
        if self.status is not BatchStatus.FAILED:
            raise RuleViolated(f"batch {self.batch_id} is {self.status}: only a FAILED one can be retried")
        self.trigger_event(BatchRetried, timestamp=at)

    def write(self, sha256: str, size: int, at: datetime) -> None:
        """Let the complete file get its name; raises ``Broken`` where it once had other bytes."""
        self._must_be_live("written")
        if self.sha256 is None:
            self.trigger_event(BatchWritten, timestamp=at, sha256=sha256, size=size)
        elif self.sha256 != sha256:
            raise Broken(f"the file of batch {self.batch_id} had SHA-256 {self.sha256}, made anew it has {sha256}")

    def hand_over(self, at: datetime) -> None:
        """Let the CLI be started."""
        self._must_be_live("handed over")
        self.trigger_event(BatchHandedOver, timestamp=at, attempt=self.attempts + 1)

    def fail(
        self,
        stage: Stage,
        reason: str,
        at: datetime,
        *,
        ended: bool = False,
        exit_code: int | None = None,
        output: str = "",
    ) -> None:
        """End an attempt that went wrong, and where the CLI has ``ended`` say how; it can be tried again."""
        self._must_be_live("failed")
        self.trigger_event(
            BatchFailed,
            timestamp=at,
            stage=stage,
            reason=reason,
            attempt=self.attempts if ended else None,
            exit_code=exit_code,
            output=output,
        )

    def send(
        self,
        at: datetime,
        *,
        rejected: Mapping[str, Sequence[int]] | None = None,
        exit_code: int | None = None,
        output: str = "",
    ) -> None:
        """End well, with the executions that were rejected, by reason."""
        self._must_be_live("sent")
        rows = sorted((each, reason) for reason, ids in (rejected or {}).items() for each in ids)
        for begin in range(0, len(rows), REJECTED_AT_ONCE):
            by_reason: dict[str, list[int]] = {}
            for each, reason in rows[begin : begin + REJECTED_AT_ONCE]:
                by_reason.setdefault(reason, []).append(each)
            told = {reason: tuple(ids) for reason, ids in by_reason.items()}
            self.trigger_event(BatchRejected, timestamp=at, rejected=told)
        self.trigger_event(BatchSent, timestamp=at, rejected_count=len(rows), exit_code=exit_code, output=output)

    def cancel(self, at: datetime) -> None:
        """Give it up; raises ``RuleViolated`` for one that has not failed."""
        if self.status is not BatchStatus.FAILED:
            raise RuleViolated(f"batch {self.batch_id} is {self.status}: only a FAILED one can be cancelled")
        self.trigger_event(BatchCancelled, timestamp=at)

    def _must_be_live(self, what: str) -> None:
        if not self.live:
            raise RuleViolated(f"batch {self.batch_id} is {self.status}: it cannot be {what}")

    def evolve(self, event: BatchEvent) -> None:
        match event:
            case BatchStarted():
                self.windows, self.returned = event.windows, event.returned
                self.start_time, self.previous_start_time = event.timestamp, event.previous_start_time
                self.file_name, self.quantity, self.count = event.file_name, event.quantity, event.count
            case BatchWritten(sha256=sha256):
                self.sha256 = sha256
            case BatchHandedOver(attempt=attempt):
                self.attempts = attempt
            case BatchRetried():
                self.status, self.stage, self.reason = BatchStatus.RUNNING, None, None
                self.exit_code, self.output = None, ""
            case BatchFailed():
                self.status, self.stage, self.reason = BatchStatus.FAILED, event.stage, event.reason
                self.exit_code, self.output = event.exit_code, event.output
                self.told = self.told if event.attempt is None else event.attempt
            case BatchRejected(rejected=rejected):
                self.rejected.update({each: reason for reason, ids in rejected.items() for each in ids})
            case BatchSent(rejected_count=count):
                self.status = BatchStatus.PARTIAL if count else BatchStatus.SENT
                self.told = self.attempts
                self.exit_code, self.output = event.exit_code, event.output
            case BatchCancelled():
                self.status = BatchStatus.CANCELLED
            case _:
                assert_never(event)


class BatchSequence(Aggregate):
    """The order of batches: which number is next, and up to which log position everything is in one of them.

    It changes in one append with the batch it is about, so two runs at once cannot take the same window.
    """

    TOPIC = "batches"
    KEY: ClassVar[str] = "accounting"

    last: int = 0
    up_to: int = 0
    started: datetime = BEFORE_ALL
    """When the last batch was started."""
    unfinished: dict[int, None] = field(default_factory=dict)
    """The numbers of those that are still to be sent, the oldest first."""
    returned: dict[int, tuple[Window, ...]] = field(default_factory=dict)
    """The windows of cancelled batches that no new one has taken over."""

    @classmethod
    def begin(cls, at: datetime) -> Self:
        """Return the sequence before its first batch."""
        return cls._create(BatchSequenceBegun, id=cls.stream(cls.KEY), timestamp=at)

    def next_windows(self, head: int) -> tuple[Window, ...]:
        """Return what a batch started at this head of the log takes, by position."""
        windows = [window for kept in self.returned.values() for window in kept]
        if head > self.up_to:
            windows.append(Window(self.up_to, head))
        return tuple(sorted(windows, key=lambda window: window.after))

    def start(self, head: int, *, count: int, quantity: Quantity, by_cli: bool, at: datetime) -> Batch:
        """Return the next batch, which takes everything up to this head of the log; it begins after the last one.

        Raises ``RuleViolated`` while one is still to be sent: an older batch goes before a new one.
        """
        if self.unfinished:
            raise RuleViolated(f"batch {next(iter(self.unfinished))} is still to be sent: it goes before a new one")
        windows, returned, previous = self.next_windows(head), tuple(self.returned), self.started
        at = max(at, previous + timedelta(microseconds=1))
        batch_id = self.last + 1
        self.trigger_event(BatchNumbered, timestamp=at, batch_id=batch_id, up_to=max(head, self.up_to))
        return Batch.start(
            batch_id,
            windows,
            returned=returned,
            previous_start_time=previous,
            quantity=quantity,
            by_cli=by_cli,
            count=count,
            at=at,
        )

    def settle(self, batch_id: int, at: datetime) -> None:
        """Let the batch be sent."""
        if batch_id in self.unfinished:
            self.trigger_event(BatchSettled, timestamp=at, batch_id=batch_id)

    def take_back(self, batch: Batch, at: datetime) -> None:
        """Let the windows of a cancelled batch belong to the next new one."""
        if batch.batch_id in self.unfinished:
            self.trigger_event(BatchReturned, timestamp=at, batch_id=batch.batch_id, windows=batch.windows)

    def evolve(self, event: SequenceEvent) -> None:
        match event:
            case BatchSequenceBegun():
                pass
            case BatchNumbered(batch_id=batch_id, up_to=up_to, timestamp=at):
                self.last, self.up_to, self.started = batch_id, up_to, at
                self.unfinished[batch_id] = None
                self.returned = {}
            case BatchSettled(batch_id=batch_id):
                self.unfinished.pop(batch_id, None)
            case BatchReturned(batch_id=batch_id, windows=windows):
                self.unfinished.pop(batch_id, None)
                self.returned[batch_id] = windows
            case _:
                assert_never(event)
