"""The part of a portfolio that is its target allocation by asset class, and the rebalances asked for (seed 000)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from domain.asset_allocation import (
    Allocation,
    Basis,
    RebalanceRequest,
    allocation_hash,
    allocation_of,
    needed,
    same,
)
from domain.base import Aggregate
from domain.errors import NotFound, RuleViolated
from domain.portfolio.events import AllocationEvent, AllocationSet, RebalanceBooked, RebalanceRequested
from domain.portfolio.rules import Status


class Allocated(Aggregate):
    """What may have a target allocation, set at once, or changed and restored by rebalances that are booked later.

    The log decides the order: a rebalance starts from what everything before it in the log leaves, whenever it is
    booked, and an allocation set after it stays.
    """

    status: Status = Status.ACTIVE
    allocation: Allocation = ()
    """The target as it counts now; empty where none was ever set."""
    left: Allocation = ()
    """The target once everything asked for is booked."""
    requests: tuple[RebalanceRequest, ...] = ()
    """The rebalances that are pending, the oldest first."""
    allocation_set: int = 0
    """The version at which the allocation was last set, 0 where it never was."""

    def set_allocation(self, percents: Mapping[str, Decimal], at: datetime) -> None:
        """Take this target at once; the one that is there changes nothing unless something is pending.

        A rebalance asked for before is still booked, and leaves this target alone. Raises ``Invalid``, and
        ``RuleViolated`` for a closed portfolio.
        """
        allocation = allocation_of(percents)
        self._refuse_when_closed()
        if self.requests or not same(allocation, self.allocation):
            self.trigger_event(AllocationSet, timestamp=at, allocation=allocation)

    def request_rebalance(self, basis: Basis, percents: Mapping[str, Decimal], at: datetime) -> None:
        """Ask for a rebalance, which ``book_rebalances`` books; the last one again, while it is pending, is no other.

        To set the allocation ends that: what follows is compared with it. Raises ``Invalid``, ``NotFound`` where there
        is no allocation to start from, ``RuleViolated``; the messages are seed 000's.
        """
        allocation = allocation_of(percents)
        if not self.allocation:
            raise NotFound(f"portfolio {self.key} has no allocation")
        self._refuse_when_closed()
        digest = allocation_hash(allocation)
        if self._asked_last(basis, digest):
            return
        if same(allocation, self.left if basis is Basis.TARGET else self.allocation):
            raise RuleViolated("New allocation is the same as current allocation")
        self.trigger_event(
            RebalanceRequested,
            timestamp=at,
            basis=basis,
            current=self.left,
            allocation=allocation,
            allocation_hash=digest,
        )

    def book_rebalances(self, up_to_version: int, at: datetime) -> None:
        """Book the pending rebalances whose requests have this version or a lower one, the oldest first.

        What is not pending any more changes nothing, so this may be asked for any number of times. What was accepted
        is booked in every status.
        """
        for request in self.requests:
            if request.version > up_to_version:
                return
            moves = request.basis is Basis.TARGET and request.version > self.allocation_set
            self.trigger_event(
                RebalanceBooked,
                timestamp=at,
                request_version=request.version,
                transactions=needed(request),
                allocation=request.allocation if moves else self.allocation,
            )

    def _asked_last(self, basis: Basis, digest: str) -> bool:
        """Whether this is the last request, which is still pending, and no allocation was set since."""
        last = self.requests[-1] if self.requests else None
        return (
            last is not None
            and last.version > self.allocation_set
            and (last.basis, last.allocation_hash)
            == (
                basis,
                digest,
            )
        )

    def _refuse_when_closed(self) -> None:
        if self.status is Status.CLOSED:
            raise RuleViolated("portfolio is closed")

    def evolve_allocation(self, event: AllocationEvent) -> None:
        """Assign what the event says."""
        match event:
            case AllocationSet(allocation=allocation):
                self.allocation = self.left = allocation
                self.allocation_set = event.originator_version
            case RebalanceRequested(basis=basis, current=current, allocation=allocation):
                request = RebalanceRequest(event.originator_version, basis, current, allocation, event.allocation_hash)
                self.requests = (*self.requests, request)
                self.left = allocation if basis is Basis.TARGET else current
            case RebalanceBooked(allocation=allocation):
                self.requests = self.requests[1:]
                self.allocation = allocation
            case _:
                assert_never(event)
