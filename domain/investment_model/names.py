"""Names of models: unique among those that live, by a stream of its own for each name."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from domain.base import Aggregate, Created, Event
from domain.errors import AlreadyExists


class NameTaken(Created):
    """The name belongs to a model."""

    TOPIC = "model-name.taken.v1"
    model_id: str


class NamePassedOn(Event):
    """The name, which was free, belongs to another model."""

    TOPIC = "model-name.passed-on.v1"
    model_id: str


class NameReleased(Event):
    """The name is free."""

    TOPIC = "model-name.released.v1"


class ModelName(Aggregate):
    """The reservation of a name, in a stream that is called by it: unique among live models, case-sensitive."""

    TOPIC = "model-name"

    model_id: str | None = None

    @classmethod
    def first_taken(cls, name: str, model_id: str, at: datetime) -> Self:
        """Return the reservation of a name that no model ever had."""
        return cls._create(NameTaken, id=cls.stream(name), timestamp=at, model_id=model_id)

    def take(self, model_id: str, at: datetime) -> None:
        """Reserve the name for a model; raises ``AlreadyExists`` while it is one's already."""
        if self.model_id is not None:
            raise AlreadyExists(f"the name {self.key!r} is taken by model {self.model_id}")
        self.trigger_event(NamePassedOn, timestamp=at, model_id=model_id)

    def release(self, at: datetime) -> None:
        """Free the name."""
        if self.model_id is not None:
            self.trigger_event(NameReleased, timestamp=at)

    def evolve(self, event: NameTaken | NamePassedOn | NameReleased) -> None:
        self.model_id = None if isinstance(event, NameReleased) else event.model_id
