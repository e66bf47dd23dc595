"""The SQL of the event log and its arguments: one call appends a group, two look-ups settle what stands in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg

from write_side.adapters.arrays import Packed, bigints, blobs, ints, texts, uuids
from write_side.adapters.group import Pending
from write_side.log import Remember

_Columns = tuple[Callable[[Any], Packed], ...]
_EVENT_COLUMNS: _Columns = (texts, bigints, texts, blobs, uuids, texts, uuids, texts)
_ANSWER_COLUMNS: _Columns = (texts, texts, blobs, ints, blobs, bigints, uuids, bigints)

LOG_LOCK_KEY = 42
"""Key of the transaction-level advisory lock that orders all appends (``es.append`` takes the same)."""
LOG_LOCK = f"select pg_advisory_xact_lock({LOG_LOCK_KEY})"

_EVENTS = "%b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::uuid[], %b::text[], %b::uuid[], %b::text[]"
_ANSWERS = "%b::text[], %b::text[], %b::bytea[], %b::int[], %b::bytea[], %b::bigint[], %b::uuid[], %b::bigint[]"
_NO_ANSWERS = ", ".join(["'{}'"] * 8)
_APPEND = f"select base from es.append({_EVENTS}, {_NO_ANSWERS})"  # noqa: S608 - constants alone
_APPEND_WITH_ANSWERS = f"select base from es.append({_EVENTS}, {_ANSWERS})"  # noqa: S608 - constants alone

_VERSIONS = """
select e.originator_id, e.originator_version, e.command_id, e.notification_id
from unnest(%s::text[], %s::bigint[]) as wanted(stream, version)
join es.stored_events e on e.originator_id = wanted.stream and e.originator_version = wanted.version
"""
_KEYS = """
select c.caller, c.key, c.command_id, c.position
from unnest(%s::text[], %s::text[]) as wanted(caller, key)
join app.commands c on c.caller = wanted.caller and c.key = wanted.key
"""

STREAM = """
select originator_version, topic, state from es.stored_events
where originator_id = %s and originator_version > %s order by originator_version
"""
STREAMS = """
select e.originator_id, e.originator_version, e.topic, e.state
from unnest(%s::text[], %s::bigint[]) as wanted(stream, version)
join es.stored_events e on e.originator_id = wanted.stream and e.originator_version > wanted.version
order by e.originator_id, e.originator_version
"""
SNAPSHOTS = "select originator_id, originator_version, topic, state from es.snapshots where originator_id = any(%s)"
VERSION = "select max(originator_version) from es.stored_events where originator_id = %s"
HEAD = "select max(notification_id) from es.stored_events"
PAGE = """
select notification_id, originator_id, originator_version, topic, state, recorded_at,
       command_id, correlation_id, causation_id, actor
from (
    select *, sum(octet_length(state)) over (order by notification_id) - octet_length(state) as before
    from (select * from es.stored_events where notification_id > %s order by notification_id limit %s) page
) sized
where before < %s order by notification_id
"""
"""Up to so many events, and no more once those before have so many bytes."""
RECORDED_STREAM = """
select notification_id, originator_id, originator_version, topic, state, recorded_at,
       command_id, correlation_id, causation_id, actor
from es.stored_events
where originator_id = %(stream)s and originator_version <= coalesce(%(version)s::bigint, originator_version)
  and notification_id <= coalesce(%(position)s::bigint, notification_id)
order by originator_version
"""
POSITION_AT = """
with recursive halves (low, high) as (
    select 0::bigint, coalesce((select max(notification_id) from es.stored_events), 0)
    union all
    select case when e.recorded_at <= %(moment)s then e.notification_id else low end,
           case when e.recorded_at <= %(moment)s then high else e.notification_id - 1 end
    from halves join es.stored_events e on e.notification_id = (low + high + 1) / 2
    where low < high
)
select low from halves where low = high
"""
"""By halving: positions are dense and times never run backwards along them."""
APPENDED = f"select pg_advisory_xact_lock_shared({LOG_LOCK_KEY})"
"""Waits for appends under way, which have their time already."""
PLACES = """
select first.originator_id, last.version, first.notification_id
from unnest(%s::text[]) as wanted(stream)
join es.stored_events first on first.originator_id = wanted.stream and first.originator_version = 1
cross join lateral (
    select max(originator_version) as version from es.stored_events where originator_id = wanted.stream
) last
"""
"""Two look-ups for each, however long the stream is."""
_RECORDED = """
select notification_id, originator_id, originator_version, topic, state, recorded_at,
       command_id, correlation_id, causation_id, actor
from es.stored_events
"""
_BETWEEN = "where notification_id > %s and notification_id <= %s"
_READY = "topic in ('execution.recorded.v1', 'execution.resend-requested.v1')"
"""As in the partial index, and written out: with a parameter it would not be used."""
RECORDED_EXECUTIONS = (
    f"{_RECORDED} {_BETWEEN} and {_READY} and topic = 'execution.recorded.v1' order by notification_id limit %s"
)
RESEND_REQUESTS = (
    f"{_RECORDED} {_BETWEEN} and {_READY} and topic = 'execution.resend-requested.v1' order by notification_id"
)
COUNT_READY_TO_SEND = f"select count(*) from es.stored_events {_BETWEEN} and {_READY}"  # noqa: S608 - constants alone
AT = f"{_RECORDED} where notification_id = any(%s) order by notification_id"
REMEMBERED = """
select fingerprint, status, body, version, position, command_id from app.commands where caller = %s and key = %s
"""
SNAPSHOT = "select originator_version, topic, state from es.snapshots where originator_id = %s"
SAVE_SNAPSHOT = """
insert into es.snapshots as s (originator_id, originator_version, topic, state) values (%s, %s, %s, %s)
on conflict (originator_id) do update
set originator_version = excluded.originator_version, topic = excluded.topic, state = excluded.state, taken_at = now()
where s.originator_version < excluded.originator_version
returning true
"""
EPOCH = "select epoch from app.log"


def append(group: Sequence[Pending]) -> tuple[str, list[Packed]]:
    """Return the call of ``es.append`` for this group and its arguments.

    These are eight arrays with an element for each event and, where answers are to be stored, eight with an element
    for each answer; the last of them is the offset of the command's last event from the base position.
    """
    events: list[tuple[Any, ...]] = []
    answers: list[tuple[Any, ...]] = []
    for command in group:
        context = command.context
        who = (context.command_id, context.correlation_id, context.causation_id, context.actor)
        for slot, event, state in zip(command.slots, command.events, command.states, strict=True):
            events.append((*slot, event.TOPIC, state, *who))
        remember, answer = context.remember, command.answer
        if remember is not None and answer is not None:
            name = (remember.caller, remember.key, remember.fingerprint)
            answers.append((*name, answer.status, answer.body, command.version, context.command_id, len(events)))
    if answers:
        return _APPEND_WITH_ANSWERS, [*_packed(_EVENT_COLUMNS, events), *_packed(_ANSWER_COLUMNS, answers)]
    return _APPEND, _packed(_EVENT_COLUMNS, events)


def _packed(columns: _Columns, rows: list[tuple[Any, ...]]) -> list[Packed]:
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    return [pack(column) for pack, column in zip(columns, values, strict=True)]


async def taken_versions(
    connection: psycopg.AsyncConnection[Any], slots: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], tuple[UUID | None, int]]:
    """Return which of these places are taken: (stream, version) -> (command_id, position)."""
    streams, versions = [stream for stream, _ in slots], [version for _, version in slots]
    cursor = await connection.execute(_VERSIONS, (streams, versions), binary=True)
    return {(stream, version): (owner, position) async for stream, version, owner, position in cursor}


async def taken_keys(
    connection: psycopg.AsyncConnection[Any], remembers: Sequence[Remember]
) -> dict[tuple[str, str], tuple[UUID, int]]:
    """Return which of these idempotency keys are stored: (caller, key) -> (command_id, position)."""
    if not remembers:
        return {}
    callers, keys = [remember.caller for remember in remembers], [remember.key for remember in remembers]
    cursor = await connection.execute(_KEYS, (callers, keys), binary=True)
    return {(caller, key): (owner, position) async for caller, key, owner, position in cursor}
