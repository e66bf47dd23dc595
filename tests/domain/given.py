"""``given(...).when(...).then(...)``: tests of an aggregate that speak the domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from domain.base import Aggregate, Event

S = TypeVar("S", bound=Aggregate)


class given(Generic[S]):  # noqa: N801 - reads as a sentence
    """An aggregate whose past is recorded; ``when`` runs one decision on it."""

    def __init__(self, aggregate: S) -> None:
        self.aggregate = aggregate
        aggregate.collect_events()

    def when(self, decide: Callable[[S], Any]) -> given[S]:
        decide(self.aggregate)
        return self

    def then(self, *expected: tuple[type[Event], dict[str, Any]]) -> given[S]:
        """Assert the new events: their classes and, of each, the fields named."""
        events = self.aggregate.collect_events()
        assert [type(event) for event in events] == [cls for cls, _ in expected]
        for event, (_, fields) in zip(events, expected, strict=True):
            assert {name: getattr(event, name) for name in fields} == fields
        return self
