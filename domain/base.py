"""The seam to the ``eventsourcing`` library: events, aggregates, stream names and the event as it stands in the log.

Everything the rest of the code needs of the library comes through this module, so that a change of the library is a
change of this file. The codec between events and stored bytes is in ``domain/codec.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self, TypeVar, cast, dataclass_transform
from uuid import UUID

import msgspec
from eventsourcing.domain import (
    BaseAggregate,
    CanInitAggregate,
    CanMutateAggregate,
    MetaDomainEvent,
    OriginatorVersionError,
)
from eventsourcing.utils import register_topic

from domain.errors import Broken

A = TypeVar("A", bound="Aggregate")
_CONTAINERS = (dict, list, set)


def _register_own_topic(cls: type[Any]) -> None:
    if "TOPIC" in vars(cls):
        register_topic(cls.TOPIC, cls)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class _Frozen(CanMutateAggregate[str], metaclass=MetaDomainEvent):
    """Tells type checkers what the metaclass does: every subclass is a frozen dataclass."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _register_own_topic(cls)


class Event(_Frozen):
    """Something that has happened to one aggregate: its outcome, with the business time in ``timestamp`` (UTC).

    A subclass becomes a frozen dataclass of its annotations. Its ``TOPIC`` is the name under which it is stored for
    ever (``portfolio.opened.v1``); a changed shape raises ``class_version`` and adds ``upcast_v1_v2(state)``, which
    changes the stored dictionary in place.
    """

    TOPIC: ClassVar[str]
    class_version: ClassVar[int] = 1

    originator_id: str
    originator_version: int
    timestamp: datetime

    def apply(self, aggregate: Any) -> None:
        aggregate.evolve(self)


class Created(Event, CanInitAggregate[str]):
    """The first event of an aggregate."""

    originator_topic: str


class Aggregate(BaseAggregate[str]):
    """Base of our aggregates: deciding methods that trigger events, and one ``evolve`` that only assigns.

    The class annotations are the state. Every attribute is an immutable value or a dict, list or set of such values.
    ``TOPIC`` names the aggregate in the log and begins the name of its streams.
    """

    TOPIC: ClassVar[str]
    STATE_VERSION: ClassVar[int] = 1
    """Raise it when ``evolve`` changes its meaning: snapshots of another version are not read."""
    CACHED: ClassVar[bool] = True
    """Whether another command may want it: False for what happens once."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _register_own_topic(cls)

    @classmethod
    def stream(cls, key: str) -> str:
        """Return the name of the stream of the aggregate with this natural key, for example ``portfolio/ACC-1``."""
        return f"{cls.TOPIC}/{key}"

    @property
    def key(self) -> str:
        """The natural key: the stream name without its kind."""
        return self.id.partition("/")[2]

    def trigger_event(self, event_class: type[CanMutateAggregate[str]], **fields: Any) -> None:
        """Let the event happen: make it with these fields, evolve by it, keep it pending.

        Shorter than the library's, which looks up the topic of every event; here every event class has one.
        """
        version = self._version + 1
        place = {"originator_id": self._id, "originator_version": version}
        event = event_class(**place, **fields)
        self.evolve(event)
        self._version = version
        self._modified_on = event.timestamp
        self._pending_events.append(event)

    def collect_events(self) -> Sequence[Event]:
        """Return the events triggered since the last call, in order; they are pending no more."""
        pending, self._pending_events = self._pending_events, []
        return cast(list[Event], pending)

    def evolve(self, event: Any) -> None:
        """Assign what the event says; no rule and no arithmetic stands here."""
        raise NotImplementedError

    def copy(self) -> Self:
        """Return a copy that can be changed without touching this one: containers are copied one level deep."""
        twin = object.__new__(type(self))
        state = vars(twin)
        for name, value in vars(self).items():
            state[name] = value.copy() if type(value) in _CONTAINERS else value
        return twin


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it stands in the log: where, when, by whom and because of what."""

    position: int
    stream: str
    version: int
    event: Event
    recorded_at: datetime
    command_id: UUID | None = None
    correlation_id: str | None = None
    causation_id: UUID | None = None
    actor: str | None = None


def whole_commands(events: list[Recorded]) -> list[Recorded]:
    """Return the events without those of the last command, which may go on behind them; all where there is no other."""
    last = events[-1].command_id
    end = len(events)
    while last is not None and end and events[end - 1].command_id == last:
        end -= 1
    return events[:end] or events


def fold(events: Iterable[Event], aggregate: A | None = None) -> A | None:
    """Return the aggregate after these events, which must follow each other and the aggregate given without a gap.

    Raises ``Broken`` where a version is missing or twice. It changes the aggregate it is given.
    """
    version = aggregate.version if aggregate is not None else 0
    event: Event | None = None
    for event in events:
        version += 1
        if event.originator_version != version:
            raise Broken(f"stream {event.originator_id}: version {event.originator_version} follows {version - 1}")
        if aggregate is None:
            aggregate = cast(A, event.mutate(None))
        else:
            aggregate.evolve(event)
    if aggregate is not None and event is not None:
        aggregate.version = version
        aggregate.modified_on = event.timestamp
    return aggregate


__all__ = ["Aggregate", "Created", "Event", "OriginatorVersionError", "Recorded", "fold", "whole_commands"]
