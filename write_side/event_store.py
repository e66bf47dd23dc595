"""Aggregates from the log and back: load, decide, record; exactly once, and never refused on a stale word.

Aggregates are cached between commands, but the cache never says no: before a refusal, a no-op or a stale
``If-Match`` the cached version is compared with the log, and a stale one is loaded and decided once more.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Generic, cast

import msgspec
import structlog

from domain.base import A, Aggregate, Event, fold
from domain.errors import FoliologError, KeyReused, Overloaded, Refused, StaleVersion
from write_side.claims import Claims
from write_side.loading import load_many
from write_side.log import ANY_VERSION, Answer, Conflict, Context, EventLog, KeyTaken
from write_side.turns import Turns

_ATTEMPTS = 50

log = structlog.get_logger(__name__)


class Done(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """An accepted command: the aggregate afterwards, its version, and the log position the command reached.

    ``events`` are those it has triggered. ``answer`` is what was stored under the idempotency key, if there is one.
    With ``replayed`` the command had happened before: then ``aggregate`` is None and the rest is as the first time.
    """

    aggregate: A | None
    version: int
    position: int
    events: Sequence[Event] = ()
    answer: Answer | None = None
    replayed: bool = False


class EventStore:
    """The write side's way to its aggregates, over one ``EventLog``.

    ``cache_size`` is how many aggregates stay in memory, ``snapshot_every`` after how many events of a stream a
    snapshot is taken, in the background, ``patience`` how many seconds a command waits for those before it.
    """

    def __init__(
        self, event_log: EventLog, *, cache_size: int = 10_000, snapshot_every: int = 500, patience: float = 10.0
    ) -> None:
        self._log = event_log
        self._cache: OrderedDict[str, Aggregate] = OrderedDict()
        self._cache_size = cache_size
        self._snapshot_every = snapshot_every
        self._patience = patience
        self._snapshots: set[asyncio.Task[None]] = set()
        self._turns = Turns()
        self._claims = Claims()
        self.reached = 0
        """A log position that includes everything this process has appended or decided on."""

    async def close(self) -> None:
        """Wait for snapshots that are being taken."""
        await asyncio.gather(*self._snapshots)

    def forget(self) -> None:
        """Empty the cache: what is remembered of the log may not be so any more."""
        self._cache.clear()
        self.reached = 0

    async def head(self) -> int:
        """Return the position of the last event, whichever process has recorded it, and remember it."""
        self.reached = max(self.reached, head := await self._log.head())
        return head

    async def load(self, cls: type[A], key: str) -> A | None:
        """Return the aggregate as the log has it now, or None where there is none; raises ``Broken``."""
        stream = cls.stream(key)
        snapshot = cast("A | None", await self._log.snapshot(cls, stream))
        return fold(await self._log.read(stream, snapshot.version if snapshot else 0), snapshot)

    async def load_many(self, cls: type[A], keys: Iterable[str]) -> dict[str, A]:
        """Return those of the aggregates that exist, by key, as the log has them now; they are not to be changed.

        Raises ``Broken``, ``StoreUnavailable``.
        """
        return await load_many(self._log, cls, keys, self._cache)

    async def record(self, *aggregates: Aggregate, context: Context) -> Done[Aggregate]:
        """Store the pending events of these aggregates, all or none; the answer is about the first.

        Raises ``Conflict``, ``KeyTaken`` and what ``EventLog.append`` raises.
        """
        first = aggregates[0]
        versions = [aggregate.version - len(aggregate.pending_events) for aggregate in aggregates]
        events = [event for aggregate in aggregates for event in aggregate.collect_events()]
        answer = await context.remember.answer(first, events) if context.remember is not None else None
        if not events and answer is None:
            return Done(aggregate=first, version=first.version, position=await self.head())
        appended = await self._log.append(events, context, answer=answer, version=first.version)
        self.reached = max(self.reached, appended.position)
        for aggregate, before in zip(aggregates, versions, strict=True):
            self._keep(aggregate, before)
        return Done(aggregate=first, version=first.version, position=appended.position, events=events, answer=answer)

    async def add(self, aggregate: A, context: Context, *, taken: Callable[[], Refused]) -> Done[A]:
        """Store a new aggregate; raises what ``taken`` returns when its stream exists.

        Raises ``StaleVersion`` under an ``If-Match``, which nothing new can meet, ``KeyReused``, ``KeyInFlight``
        and what ``EventLog.append`` raises.
        """
        with self._claims.of(context.remember):
            try:
                if context.expected_version is not None:
                    if await self._log.version(aggregate.id):
                        raise taken()
                    raise StaleVersion(aggregate.id, context.expected_version or None, 0)
                return cast("Done[A]", await self.record(aggregate, context=context))
            except (Conflict, KeyTaken, Refused) as error:
                if replay := await self.replay(context):
                    return cast("Done[A]", replay)
                if isinstance(error, Conflict):
                    raise taken() from None
                raise

    async def change(
        self, cls: type[A], key: str, decide: Callable[[A], None], context: Context, *, missing: Callable[[], Refused]
    ) -> Done[A]:
        """Load the aggregate, let ``decide`` trigger its events, store them; decide again when it has moved on.

        Raises what ``decide`` raises, what ``missing`` returns when there is no such aggregate, ``StaleVersion``,
        ``KeyReused``, ``KeyInFlight`` and what ``EventLog.append`` raises.
        """
        if context.remember is not None:
            with self._claims.of(context.remember):
                return await self._change(cls, key, decide, context, missing)
        return await self._change(cls, key, decide, context, missing)

    async def change_all(
        self,
        wanted: Sequence[tuple[type[Aggregate], str]],
        decide: Callable[[Sequence[Aggregate | None]], Sequence[Aggregate]],
        context: Context,
        given: Sequence[Aggregate] = (),
    ) -> Done[Aggregate]:
        """Load several aggregates, None for what does not exist, let ``decide`` change them; store all or nothing.

        ``decide`` is given copies, in the order of ``wanted``, and returns those to store: the answer, ``If-Match`` and
        version are about the first of them; what it refuses goes before a stale version. Decided again when any has
        moved on. Those ``given``, as stale as they may be, are not loaded first. Raises what ``decide`` raises, and
        what ``change`` raises.
        """
        with self._claims.of(context.remember):
            return await self._change_all(wanted, decide, context, {each.id: each for each in given})

    async def _change_all(
        self,
        wanted: Sequence[tuple[type[Aggregate], str]],
        decide: Callable[[Sequence[Aggregate | None]], Sequence[Aggregate]],
        context: Context,
        given: dict[str, Aggregate],
    ) -> Done[Aggregate]:
        streams = [cls.stream(key) for cls, key in wanted]
        async with AsyncExitStack() as turns:
            for stream in sorted(set(streams)):
                await self._turns.take(stream, until=context.began + self._patience)
                turns.callback(self._turns.leave, stream)
            for _ in range(_ATTEMPTS):
                known = [self._cache.get(stream) or given.pop(stream, None) for stream in streams]
                try:
                    current = [
                        cached or await self._loaded(cls, key) for cached, (cls, key) in zip(known, wanted, strict=True)
                    ]
                    decided = decide([each and each.copy() for each in current])
                    first = decided[0]
                    before = first.version - len(first.pending_events)
                    if context.expected_version not in (None, ANY_VERSION, before):
                        raise StaleVersion(first.id, context.expected_version, before)
                    changes = any(each.pending_events for each in decided)
                except Refused as refusal:
                    if replay := await self.replay(context):
                        return replay
                    if await self._any_stale(known):
                        continue
                    raise refusal from None
                if not changes:
                    if replay := await self.replay(context):
                        return replay
                    if await self._any_stale(known):
                        continue
                try:
                    return await self.record(*decided, context=context)
                except Conflict:
                    for stream in streams:
                        self._cache.pop(stream, None)
                except KeyTaken:
                    return cast("Done[Aggregate]", await self.replay(context))
        raise Overloaded(f"{streams[0]} was changed by others {_ATTEMPTS} times while this command was decided")

    async def _any_stale(self, known: Sequence[Aggregate | None]) -> bool:
        """Compare cached aggregates with the log; every stale one leaves the cache."""
        return any([await self._is_stale(cached) for cached in known])

    async def _change(
        self, cls: type[A], key: str, decide: Callable[[A], None], context: Context, missing: Callable[[], Refused]
    ) -> Done[A]:
        stream = cls.stream(key)
        await self._turns.take(stream, until=context.began + self._patience)
        try:
            for _ in range(_ATTEMPTS):
                try:
                    done = await self._attempt(cls, key, decide, context, missing)
                except Conflict:
                    self._cache.pop(stream, None)
                except KeyTaken:
                    return cast("Done[A]", await self.replay(context))
                else:
                    if done is not None:
                        return done
            raise Overloaded(f"{stream} was changed by others {_ATTEMPTS} times while this command was decided")
        finally:
            self._turns.leave(stream)

    async def _attempt(
        self, cls: type[A], key: str, decide: Callable[[A], None], context: Context, missing: Callable[[], Refused]
    ) -> Done[A] | None:
        """Decide once; None when the cached aggregate was stale and it must be decided on a fresh one."""
        stream = cls.stream(key)
        cached = cast("A | None", self._cache.get(stream))
        current = cached or await self._loaded(cls, key)
        try:
            if current is None:
                raise missing()
            if context.expected_version not in (None, ANY_VERSION, current.version):
                raise StaleVersion(stream, context.expected_version, current.version)
            work = current.copy()
            decide(work)
        except Refused:
            if replay := await self.replay(context):
                return cast("Done[A]", replay)
            if await self._is_stale(cached):
                return None
            raise
        if not work.pending_events:
            if replay := await self.replay(context):
                return cast("Done[A]", replay)
            if await self._is_stale(cached):
                return None
        return cast("Done[A]", await self.record(work, context=context))

    async def _loaded(self, cls: type[A], key: str) -> A | None:
        """Load the aggregate and remember a position that includes it."""
        aggregate = await self.load(cls, key)
        await self.head()
        return aggregate

    async def _is_stale(self, cached: Aggregate | None) -> bool:
        """Compare a cached aggregate with the log; a stale one leaves the cache."""
        if cached is None or await self._log.version(cached.id) == cached.version:
            return False
        self._cache.pop(cached.id, None)
        return True

    async def replay(self, context: Context) -> Done[Aggregate] | None:
        """Return the first answer of the idempotency key, None where there is none.

        Commands that do something before they append ask this first (decision 3). Raises ``KeyReused``.
        """
        remember = context.remember
        if remember is None or (stored := await self._log.remembered(remember.caller, remember.key)) is None:
            return None
        if stored.fingerprint != remember.fingerprint:
            raise KeyReused(f"Idempotency-Key {remember.key!r} was used before with another method, path or body")
        return Done(
            aggregate=None, version=stored.version, position=stored.position, answer=stored.answer, replayed=True
        )

    def _keep(self, aggregate: Aggregate, before: int) -> None:
        """Keep it for the next command, and take a snapshot of it when it is time; it was at version ``before``."""
        if not aggregate.CACHED:
            return
        self._cache.pop(aggregate.id, None)
        self._cache[aggregate.id] = aggregate
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        every = self._snapshot_every
        if aggregate.version // every > before // every:
            task = asyncio.create_task(self._take_snapshot(aggregate.copy()))
            self._snapshots.add(task)
            task.add_done_callback(self._snapshots.discard)

    async def _take_snapshot(self, aggregate: Aggregate) -> None:
        try:
            await self._log.save_snapshot(aggregate)
        except FoliologError as error:
            log.warning("snapshot not taken", stream=aggregate.id, version=aggregate.version, error=str(error))
