"""Events to stored bytes and back: JSON by msgspec, decimals as strings, times in UTC; also as the library's mapper.

The stored state holds the fields of the event without its stream and version, which are columns. A class with
``class_version`` above 1 stores that number too, and reads older states through its ``upcast_vN_vM`` functions.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import cache
from typing import Any, NotRequired, TypedDict, cast, get_type_hints

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent
from eventsourcing.utils import TopicError, resolve_topic

from domain.base import Aggregate, Event
from domain.errors import Broken

_COLUMNS = ("originator_id", "originator_version")
_encode = msgspec.json.Encoder(order="deterministic").encode
_BOOKKEEPING = ("_id", "_version", "_created_on", "_modified_on", "_pending_events")


def encode(event: Event) -> bytes:
    """Return the stored state of the event: compact JSON with sorted keys."""
    state = {name: value for name, value in vars(event).items() if name not in _COLUMNS}
    if event.class_version > 1:
        state["class_version"] = event.class_version
    return _encode(state)


def decode(topic: str, state: bytes, stream: str, version: int) -> Event:
    """Return the event stored under this topic; raises ``Broken`` when it cannot be read."""
    try:
        cls, decoder = _event_decoder(topic)
        fields = decoder.decode(state) if decoder is not None else _upcast(cls, msgspec.json.decode(state))
        if "class_version" in fields:
            raise ValueError(f"it is version {fields['class_version']} of the event, this program knows version 1")
    except (msgspec.MsgspecError, TopicError, ValueError, KeyError, TypeError) as error:
        raise Broken(f"event {version} of {stream} ({topic}) cannot be read: {error}") from error
    fields["originator_id"] = stream
    fields["originator_version"] = version
    event = object.__new__(cls)
    object.__setattr__(event, "__dict__", fields)
    return event


def encode_snapshot(aggregate: Aggregate) -> bytes:
    """Return the state of the aggregate with its times, as JSON; read back by ``decode_snapshot``."""
    state = {name: value for name, value in vars(aggregate).items() if name not in _BOOKKEEPING}
    times = {"_created_on": aggregate.created_on, "_modified_on": aggregate.modified_on}
    return _encode({"shape": _shape(type(aggregate)), "state": state, **times})


def decode_snapshot(cls: type[Aggregate], content: bytes, stream: str, version: int) -> Aggregate | None:
    """Return the aggregate as it was at ``version``; None where this class cannot read it."""
    try:
        record = msgspec.json.decode(content)
        if record["shape"] != _shape(cls):
            return None
        state = msgspec.convert(record["state"], _state_type(cls), strict=False)
        created_on, modified_on = msgspec.convert([record["_created_on"], record["_modified_on"]], list[datetime])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None
    aggregate = object.__new__(cls)
    aggregate.__base_init__(stream, version, created_on)
    aggregate.modified_on = modified_on
    vars(aggregate).update(state)
    return aggregate


class EventMapper(Mapper[str]):
    """The codec in the form the ``eventsourcing`` library takes (``MAPPER_TOPIC=domain.codec:EventMapper``)."""

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        event = cast(Event, domain_event)
        return StoredEvent(event.originator_id, event.originator_version, event.TOPIC, encode(event))

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[str]:
        stream = str(stored_event.originator_id)
        return decode(stored_event.topic, stored_event.state, stream, stored_event.originator_version)


@cache
def _event_decoder(topic: str) -> tuple[type[Event], msgspec.json.Decoder[dict[str, Any]] | None]:
    """Return the class of the topic, and its typed decoder when no older version of it can be stored."""
    cls = resolve_topic(topic)
    if not (isinstance(cls, type) and issubclass(cls, Event)):
        raise TopicError(f"{topic} is not the topic of an event")
    return cls, msgspec.json.Decoder(_fields_type(cls)) if cls.class_version == 1 else None


def _upcast(cls: type[Event], state: dict[str, Any]) -> dict[str, Any]:
    stored = state.pop("class_version", 1)
    if stored > cls.class_version:
        raise ValueError(f"it is version {stored} of the event, this program knows version {cls.class_version}")
    for version in range(stored, cls.class_version):
        getattr(cls, f"upcast_v{version}_v{version + 1}")(state)
    return cast(dict[str, Any], msgspec.convert(state, _fields_type(cls), strict=False))


@cache
def _fields_type(cls: type[Event]) -> Any:
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.name not in _COLUMNS]
    members = {name: hints[name] for name in names} | {"class_version": NotRequired[int]}
    return TypedDict(cls.__name__, members)  # type: ignore[operator]


@cache
def _state_type(cls: type[Aggregate]) -> Any:
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    return TypedDict(cls.__name__, {name: hints[name] for name in names})  # type: ignore[operator]


@cache
def _shape(cls: type[Aggregate]) -> str:
    """Return the version, names and types of the state: a snapshot of another shape is not read but made anew."""
    return f"v{cls.STATE_VERSION}," + ",".join(
        f"{name}:{hint}" for name, hint in sorted(_state_type(cls).__annotations__.items())
    )
