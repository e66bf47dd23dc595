"""Where a relay begins: what its topic holds already, what was lost there, and whether that is of this log at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.base import Recorded
from domain.errors import Broken
from domain.published import Origin
from read_side.following import Stand
from read_side.publishing import Part


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: what is after ``stand`` is read, and of it goes to a partition what is after its ``done``.

    ``lost`` has a sentence for each partition whose records are gone and are sent again.
    """

    epoch: UUID
    stand: Stand
    done: tuple[int, ...]
    lost: tuple[str, ...] = ()


def of_log(stand: Stand, epoch: UUID) -> Stand:
    """Return where a relay stands that has stood there with this log; at its beginning where that was another."""
    return stand if stand.epoch == epoch else Stand(0, epoch, stand.build)


def begin(topic: str, stand: Stand, epoch: UUID, parts: Sequence[Part]) -> Start:
    """Return where to begin, from where the relay stood and from what the topic holds.

    A page is published as a whole, so the topic may be ahead of the stand, never of a page. A partition whose last
    record is below its tail has lost records: they are sent again, to it alone. One that retention has emptied has not
    lost any. Raises ``Broken`` where the partitions are not as many as the events went to: a key would move.
    """
    stand = of_log(stand, epoch)
    saved = stand.tails
    if saved and len(saved) != len(parts):
        raise Broken(
            f"topic {topic} has {len(parts)} partitions, and the log was published to {len(saved)}: keys would move to "
            f"others; delete it and make it with {len(saved)} again, or say `migrate --new-epoch` to have the whole "
            "log published once more to those that it has"
        )
    saved = saved or (0,) * len(parts)
    done, tails, lost = [], [], []
    for number, (part, tail) in enumerate(zip(parts, saved, strict=True)):
        last = part.last.position if part.last is not None else 0
        emptied = part.last is None and part.start > 0
        if last >= tail or emptied:
            done.append(max(last, tail, stand.position))
            tails.append(max(last, tail))
            continue
        done.append(last)
        tails.append(last)
        lost.append(
            f"partition {number} of topic {topic} has lost the records of positions above {last} up to {tail}: they "
            "are published again"
        )
    return Start(epoch, Stand(min(done), epoch, stand.build, tuple(tails)), tuple(done), tuple(lost))


def newest(parts: Sequence[Part]) -> Origin | None:
    """Return where the newest record of the topic comes from."""
    return max((part.last for part in parts if part.last is not None), key=lambda last: last.position, default=None)


def same_log(topic: str, stand: Stand, head: int, told: Origin | None, stored: Recorded | None) -> None:
    """Make sure that the log goes on from what was published: raises ``Broken`` for one that was set back.

    ``stand`` is of this log. ``told`` is the topic's newest record, ``stored`` what the log has at its position.
    """
    remedy = "it was restored from a backup: say `migrate --new-epoch`, and it is published from its beginning"
    reached = max(stand.position, told.position if told is not None else 0)
    if reached > head:
        raise Broken(f"the log ends at {head}, and it was published up to {reached} to topic {topic}: {remedy}")
    if told is not None and (stored is None or stored.command_id != told.command_id):
        raise Broken(
            f"position {told.position} of the log is of another command than in topic {topic}: {remedy}",
            position=told.position,
        )
