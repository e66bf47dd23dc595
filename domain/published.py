"""An event as it is published: key, headers and value by CloudEvents 1.0 (Kafka protocol binding, binary mode).

The key is a function of the stream, so that the events of a stream stay in their order: the portfolio's id for streams
that are named by a portfolio, else the name of the stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from domain.base import Recorded
from domain.codec import decode, encode
from domain.errors import Broken

Header = tuple[str, bytes]

_SOURCE: Final = "/foliolog/"
_OF_PORTFOLIO: Final = frozenset({"portfolio", "orders"})
"""Kinds of streams that are named by a portfolio."""
_FIXED: Final[tuple[Header, ...]] = (("content-type", b"application/json"), ("ce_specversion", b"1.0"))


class Message(NamedTuple):
    """A record of a topic."""

    key: bytes
    value: bytes
    headers: tuple[Header, ...]


class Origin(NamedTuple):
    """Where a message comes from: the log by its epoch, the position in it, and the command that wrote the event."""

    epoch: UUID
    position: int
    command_id: UUID | None


def key_of(stream: str) -> str:
    """Return the key of all messages of this stream."""
    kind, _, name = stream.partition("/")
    return name if kind in _OF_PORTFOLIO else stream


def message_of(recorded: Recorded, epoch: UUID) -> Message:
    """Return the event as it is published; ``epoch`` is the id of the log that it stands in."""
    key, position = key_of(recorded.stream).encode(), b"%d" % recorded.position
    headers = (
        *_FIXED,
        ("ce_id", position),
        ("ce_source", _source(epoch)),
        ("ce_type", recorded.event.TOPIC.encode()),
        ("ce_subject", recorded.stream.encode()),
        ("ce_time", _moment(recorded.recorded_at)),
        ("ce_sequence", position),
        ("ce_partitionkey", key),
        ("ce_streamversion", b"%d" % recorded.version),
        *_told("ce_commandid", recorded.command_id),
        *_told("ce_correlationid", recorded.correlation_id),
        *_told("ce_causationid", recorded.causation_id),
        *_told("ce_actor", recorded.actor),
    )
    return Message(key, encode(recorded.event), headers)


@lru_cache(maxsize=1)
def _source(epoch: UUID) -> bytes:
    return f"{_SOURCE}{epoch}".encode()


def _told(name: str, value: UUID | str | None) -> tuple[Header, ...]:
    return () if value is None else ((name, str(value).encode()),)


def origin_of(headers: Iterable[Header]) -> Origin:
    """Return where a message comes from; raises ``Broken`` for one that is not of ours."""
    told = dict(headers)
    try:
        source, position = told["ce_source"].decode(), int(told["ce_sequence"])
        command = told.get("ce_commandid")
        if not source.startswith(_SOURCE):
            raise ValueError(f"its source is {source[:100]!a}")
        return Origin(UUID(source.removeprefix(_SOURCE)), position, UUID(command.decode()) if command else None)
    except (KeyError, ValueError) as error:
        raise Broken(f"a message is not one of the event log: {type(error).__name__}: {error}") from error


def recorded_of(value: bytes, headers: Iterable[Header]) -> Recorded:
    """Return the event of a message as it stands in the log; raises ``Broken``, with its position where it is told."""
    told = dict(headers)
    _, position, command_id = origin_of(told.items())
    try:
        stream, version = told["ce_subject"].decode(), int(told["ce_streamversion"])
        causation = told.get("ce_causationid")
        return Recorded(
            position=position,
            stream=stream,
            version=version,
            event=decode(told["ce_type"].decode(), value, stream, version),
            recorded_at=datetime.fromisoformat(told["ce_time"].decode()),
            command_id=command_id,
            correlation_id=_text(told, "ce_correlationid"),
            causation_id=UUID(causation.decode()) if causation else None,
            actor=_text(told, "ce_actor"),
        )
    except (KeyError, ValueError, Broken) as error:
        raise Broken(f"message {position} cannot be read: {error}", position=position) from error


def _text(told: dict[str, bytes], name: str) -> str | None:
    value = told.get(name)
    return None if value is None else value.decode()


def _moment(at: datetime) -> bytes:
    """Return a time by RFC 3339, in UTC."""
    text = at.isoformat()
    if not text.endswith("+00:00"):
        text = at.astimezone(UTC).isoformat()
    return f"{text.removesuffix('+00:00')}Z".encode()
