"""The tree of refusals and failures.

FoliologError
├── Refused                     the command or query is refused and changes nothing
│   ├── Invalid                 what was asked does not fit, whatever the state (names every fault)
│   ├── RuleViolated            it does not fit the state of the aggregate
│   ├── AlreadyExists           the name is taken
│   ├── NotFound                there is no such thing
│   ├── StaleVersion            the caller decided on an older version
│   │   └── VersionConflict     the version in its body or query says so
│   ├── KeyReused               an idempotency key came back with another request
│   └── KeyInFlight             the first request with this idempotency key is still being answered
├── Unavailable                 asked at a bad moment; the same may succeed later
│   ├── Overloaded              too much is waiting
│   ├── StoreUnavailable        the event log cannot be reached; nothing was stored
│   ├── OutcomeUnknown          the event log was lost while it committed; the command may be stored
│   ├── NotYet                  a view is still behind the position asked for
│   └── RebalancePending        rebalances asked for are not booked yet
├── NotDelivered                what was accepted could not be handed on to another system; it is kept
└── Broken                      a defect or damage: stored data that cannot be read, a broken invariant
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class FoliologError(Exception):
    """Root of every error of ours; ``code`` is its stable name for programs, the message is for people."""

    code: ClassVar[str] = "error"


class Refused(FoliologError):
    """The request is refused and has changed nothing."""

    code = "refused"


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a request: where (a JSON pointer into the body) and what would be right."""

    pointer: str
    detail: str


class Invalid(Refused):
    """The request does not fit, whatever the state; carries all its faults at once."""

    code = "invalid-request"

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        self.faults = faults


class RuleViolated(Refused):
    """The request does not fit the state of the aggregate."""

    code = "rule-violated"


class AlreadyExists(Refused):
    """The name is taken."""

    code = "already-exists"


class NotFound(Refused):
    """There is no such thing."""

    code = "not-found"


class StaleVersion(Refused):
    """The caller decided on another version than the one that is current."""

    code = "stale-version"

    def __init__(self, stream: str, expected: int | None, current: int) -> None:
        wanted = (
            "an existing resource" if expected is None else f"version {expected}" if expected > 0 else "another one"
        )
        super().__init__(f"{stream} is at version {current}, the request expects {wanted}")
        self.current = current


class VersionConflict(StaleVersion):
    """The same, where the version stands in the body or the query of the request (seed 002)."""

    code = "version-conflict"


class KeyReused(Refused):
    """An idempotency key came back with another method, path or body than the first time."""

    code = "idempotency-key-reused"


class KeyInFlight(Refused):
    """The first request with this idempotency key has not been answered yet."""

    code = "idempotency-key-in-flight"


class Unavailable(FoliologError):
    """It cannot be done now; the same request may succeed later. ``retry_after`` is in seconds."""

    code = "unavailable"
    retry_after: ClassVar[int] = 1


class Overloaded(Unavailable):
    """Too many commands are waiting; this one was not taken."""

    code = "overloaded"


class StoreUnavailable(Unavailable):
    """The event log cannot be reached; the command is not stored."""

    code = "store-unavailable"


class OutcomeUnknown(Unavailable):
    """The connection was lost during the commit and did not come back in time: the command may be stored or not."""

    code = "outcome-unknown"


class NotYet(Unavailable):
    """A view has not reached the position the reader asked for."""

    code = "projection-behind"

    def __init__(self, view: str, position: int, reached: int) -> None:
        super().__init__(f"view {view} is at position {reached}, the request asks for {position}")
        self.view, self.position, self.reached = view, position, reached


class RebalancePending(Unavailable):
    """Rebalances of a user, asked for at these log positions, are not booked yet."""

    code = "rebalance-pending"

    def __init__(self, user_id: str, positions: Sequence[int]) -> None:
        super().__init__(f"pending rebalances of {user_id}: {len(positions)}, the oldest from position {positions[0]}")
        self.user_id, self.positions = user_id, positions


class NotDelivered(FoliologError):
    """A batch could not be handed on; it is kept, and goes first next time."""

    code = "not-delivered"


class Broken(FoliologError):
    """Stored data cannot be read or an invariant does not hold: a person must look.

    ``position`` names the event in the log where there is one.
    """

    code = "broken"

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position
