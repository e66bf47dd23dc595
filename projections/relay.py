"""Publishes the log to a topic: every event once and in its order, as one transaction a page, by one leader."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from domain.errors import Broken, Unavailable
from domain.published import Message, key_of, message_of
from projections.relay_start import Start, begin, newest, of_log, same_log
from projections.stretch import Stretch, next_stretch
from read_side.following import FollowerLeadership, Following, Stand
from read_side.history import History
from read_side.publishing import Part, Publisher, Topic
from read_side.signals import Signals
from read_side.store import Checkpoint, Fenced
from read_side.tasks import end, pause

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Relay:
    """Follows the log and publishes it, while it leads ``relay/<topic>``.

    The broker decides who publishes: a leader opens the topic, which shuts out the one before, and only then looks at
    what it holds. ``beat`` is after how many seconds it makes sure that it still leads and that the log is still the
    same, ``audit`` after how many idle seconds that the topic holds what it was given; ``first_pause`` and ``slowest``
    are the pauses in seconds between two attempts. It holds the page that it publishes and the next one.
    """

    topic: Topic
    history: History
    leadership: FollowerLeadership
    signals: Signals
    page_size: int = 2_000
    beat: float = 1.0
    audit: float = 60.0
    first_pause: float = 0.25
    slowest: float = 5.0
    leading: bool = field(default=False, init=False)
    _ahead: asyncio.Task[Stretch] | None = field(default=None, init=False)
    _said: str | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """What it leads, and the row of its checkpoint."""
        return f"relay/{self.topic.name}"

    async def run(self) -> None:
        """Lead and publish until ended by ``read_side.tasks.end``; whatever happens, stand again after a pause."""
        failures = 0
        while True:
            started = asyncio.get_running_loop().time()
            try:
                async with self.leadership.follow(self.name) as following:
                    self.leading = True
                    await self._lead(following)
            except (Unavailable, Fenced, Broken) as error:
                self._say(str(error))
            except Exception as error:  # a defect of ours: told, and it begins again at its checkpoint
                log.exception("relay failed", topic=self.topic.name, error=str(error))
            finally:
                self.leading = False
                await self._forget_ahead()
            lasted = asyncio.get_running_loop().time() - started
            failures = 0 if lasted > 2 * self.slowest else failures + 1
            await asyncio.sleep(pause(failures, self.first_pause, self.slowest))

    async def _lead(self, following: Following) -> None:
        try:
            async with self.topic.opened() as publisher:
                await self._publish_all(following, publisher)
        except Fenced:
            raise
        except Exception as error:  # said to people, and raised
            await following.stopped(str(error) or type(error).__name__)
            raise

    async def _publish_all(self, following: Following, publisher: Publisher) -> None:
        start = await self._begin(following, publisher)
        run = _Run(publisher, following, self.signals, self.name, start)
        now = asyncio.get_running_loop().time
        checked = audited = now()
        runs = False
        while True:
            moved = await self._step(run)
            if not runs:
                log.info("relay leads", topic=self.topic.name, position=run.stand.position)
                await following.runs()
                runs, self._said = True, None
            if moved:
                audited = now()
            if now() - checked >= self.beat:
                await self._check(run)
                checked = now()
            if now() - audited >= self.audit:
                await self._audit(run)
                audited = now()

    async def _begin(self, following: Following, publisher: Publisher) -> Start:
        """Return where to begin, which is where it stands from then on."""
        stood = await following.stand()
        epoch = await self.history.epoch()
        stand = of_log(stood, epoch)
        parts = await publisher.parts(epoch, stand.tails)
        start = begin(self.topic.name, stand, epoch, parts)
        await self._same_log(stand, parts)
        for sentence in start.lost:
            log.error("records lost", topic=self.topic.name, error=sentence)
        if start.stand != stood:
            await following.save(stood, start.stand)
        return start

    async def _same_log(self, stand: Stand, parts: list[Part]) -> None:
        told, head, stored = newest(parts), await self.history.head(), None
        if told is not None and told.position <= head:
            [stored, *_] = await self.history.page(told.position - 1, 1)
        same_log(self.topic.name, stand, head, told, stored)

    async def _step(self, run: _Run) -> bool:
        """Publish the next page, or wait for one; return whether there was one."""
        position = run.stand.position
        stretch = await self._next(position)
        if stretch.position == position:
            await self.signals.wait_for_head(position + 1, self.beat)
            return False
        if stretch.full:
            self._ahead = asyncio.create_task(next_stretch(self.history, stretch.position, self.page_size, frozenset()))
        await run.publish(stretch)
        return True

    async def _check(self, run: _Run) -> None:
        """Make sure that this process still leads, and that the log has not become another one."""
        if (stand := await run.following.stand()) != run.stand:
            raise Fenced(f"{self.name} is at {stand}, not at {run.stand}")
        if await self.history.epoch() != run.epoch:
            raise Fenced(f"the log has another epoch than {run.epoch}: {self.name} begins anew")

    async def _audit(self, run: _Run) -> None:
        """Make sure that the topic still holds what it was given."""
        parts = await run.publisher.parts(run.epoch, run.stand.tails)
        if lost := begin(self.topic.name, run.stand, run.epoch, parts).lost:
            raise Unavailable("; ".join(lost))

    async def _next(self, after: int) -> Stretch:
        """Return the next events: those that were read while the last page was published, or from the log now."""
        task, self._ahead = self._ahead, None
        return await (task or next_stretch(self.history, after, self.page_size, frozenset()))

    async def _forget_ahead(self) -> None:
        task, self._ahead = self._ahead, None
        await end(task)

    def _say(self, error: str) -> None:
        """Log why it was interrupted, once for each reason: it may go on for hours."""
        (log.debug if error == self._said else log.warning)("relay interrupted", topic=self.topic.name, error=error)
        self._said = error


class _Run:
    """One time of leading: what the topic has by now."""

    def __init__(self, publisher: Publisher, following: Following, signals: Signals, name: str, start: Start) -> None:
        self.publisher = publisher
        self.following = following
        self.stand = start.stand
        self.epoch = start.epoch
        self._done = start.done
        self._signals = signals
        self._name = name
        self._tell()

    async def publish(self, stretch: Stretch) -> None:
        """Publish what these events are to their partitions; where that is safe, save how far it is."""
        tails = list(self.stand.tails)
        messages: list[tuple[int, Message]] = []
        for recorded in stretch.events:
            part = self.publisher.partition_of(key_of(recorded.stream).encode())
            if recorded.position > self._done[part]:
                messages.append((part, message_of(recorded, self.epoch)))
                tails[part] = recorded.position
        if messages:
            await self.publisher.publish(messages)
        now = Stand(stretch.position, self.epoch, self.stand.build, tuple(tails))
        await self.following.save(self.stand, now)
        self.stand = now
        self._tell()

    def _tell(self) -> None:
        self._signals.correct(self._name, Checkpoint(self.stand.position, self.stand.build))
