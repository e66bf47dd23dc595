"""Where a relay begins, by tables: what the topic holds, what it has lost, and whether it is of this log."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.base import Recorded
from domain.errors import Broken
from domain.published import Origin
from projections.relay_start import begin, newest, of_log, same_log
from read_side.following import Stand
from read_side.publishing import Part
from tests.api.memory_log import NOW
from tests.projections.logs import deposited

EPOCH = UUID(int=1)
OTHER = UUID(int=2)
COMMAND = UUID(int=3)


def part(last: int = 0, *, start: int = 0, end: int | None = None) -> Part:
    """A partition whose last record is this position of ours, 0 for none."""
    return Part(start, end if end is not None else start + last, Origin(EPOCH, last, COMMAND) if last else None)


def stood(position: int, *tails: int, epoch: UUID | None = EPOCH) -> Stand:
    return Stand(position, epoch, 1, tails)


@pytest.mark.parametrize(
    ("stand", "parts", "after", "done", "lost"),
    [
        pytest.param(stood(0, epoch=None), [part(), part()], 0, (0, 0), 0, id="nothing yet"),
        pytest.param(stood(9, 9, 8), [part(9), part(8)], 9, (9, 9), 0, id="all is there"),
        pytest.param(stood(9, 9, 0), [part(9), part()], 9, (9, 9), 0, id="nothing has gone to one"),
        pytest.param(stood(5, 5, 3), [part(9), part(8)], 8, (9, 8), 0, id="a page is there that was not saved"),
        pytest.param(stood(5, 5, 3), [part(9), part(3)], 5, (9, 5), 0, id="a page of one partition was not saved"),
        pytest.param(stood(0, epoch=None), [part(9), part(8)], 8, (9, 8), 0, id="nothing is saved"),
        pytest.param(stood(0, epoch=None), [part(9), part()], 0, (9, 0), 0, id="nothing is saved, one is empty"),
        pytest.param(stood(9, 9, 8), [part(9), part(4)], 4, (9, 4), 1, id="one has lost its end"),
        pytest.param(stood(9, 9, 8), [part(7), part(4)], 4, (7, 4), 2, id="both have lost their ends"),
        pytest.param(stood(9, 9, 8), [part(), part()], 0, (0, 0), 2, id="made anew"),
        pytest.param(stood(9, 9, 8), [part(9), part(start=4)], 9, (9, 9), 0, id="retention has emptied one"),
        pytest.param(stood(9, 9, 8), [part(9), part(start=4, end=7)], 9, (9, 9), 0, id="all but ends of transactions"),
        pytest.param(stood(5, 5, 8), [part(5), part(start=4)], 5, (5, 8), 0, id="emptied, and sent again to another"),
        pytest.param(stood(9, 9, 8), [part(9, start=6), part(8, start=7)], 9, (9, 9), 0, id="retention has cut both"),
        pytest.param(stood(9, 9, 8, epoch=OTHER), [part(), part()], 0, (0, 0), 0, id="another log"),
        pytest.param(stood(9, 9, 8, epoch=OTHER), [part(4), part(3)], 3, (4, 3), 0, id="another log was begun"),
        pytest.param(
            stood(9, 9, 8, 7, epoch=OTHER), [part(), part()], 0, (0, 0), 0, id="another log, fewer partitions"
        ),
    ],
)
def test_it_begins(stand: Stand, parts: list[Part], after: int, done: tuple[int, ...], lost: int) -> None:
    start = begin("t", stand, EPOCH, parts)
    assert (start.stand.position, start.done, len(start.lost)) == (after, done, lost)
    assert start.stand.epoch == EPOCH
    again = begin("t", start.stand, EPOCH, parts)
    assert (again.stand, again.done, again.lost) == (start.stand, start.done, ()), "saved, it begins there again"


def test_what_was_lost_is_named() -> None:
    [sentence] = begin("trades", stood(9, 9, 8), EPOCH, [part(9), part(4)]).lost
    assert "partition 1 of topic trades" in sentence
    assert "above 4 up to 8" in sentence


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_partitions_stops_it(count: int) -> None:
    with pytest.raises(Broken, match=f"has {count} partitions.*published to 2.*migrate --new-epoch"):
        begin("t", stood(9, 9, 8), EPOCH, [part(9)] * count)


def test_the_build_is_kept() -> None:
    assert begin("t", Stand(9, OTHER, 7, (9,)), EPOCH, [part()]).stand.build == 7
    assert of_log(Stand(9, OTHER, 7, (9,)), EPOCH) == Stand(0, EPOCH, 7)


def test_the_newest_record_is_the_one_of_the_highest_position() -> None:
    assert newest([part(4), part(9), part()]) == Origin(EPOCH, 9, COMMAND)
    assert newest([part(), part()]) is None


def recorded(command_id: UUID | None) -> Recorded:
    event = deposited("A", 2, "1")
    return Recorded(
        position=9, stream=event.originator_id, version=2, event=event, recorded_at=NOW, command_id=command_id
    )


TOLD = Origin(EPOCH, 9, COMMAND)


@pytest.mark.parametrize(
    ("position", "head", "told", "stored"),
    [
        pytest.param(0, 0, None, None, id="nothing"),
        pytest.param(9, 9, TOLD, recorded(COMMAND), id="at the head"),
        pytest.param(5, 12, TOLD, recorded(COMMAND), id="the topic is ahead of the stand"),
        pytest.param(9, 9, Origin(EPOCH, 9, None), recorded(None), id="of no command"),
        pytest.param(9, 9, None, None, id="the topic is empty"),
    ],
)
def test_the_same_log_goes_on(position: int, head: int, told: Origin | None, stored: Recorded | None) -> None:
    same_log("t", stood(position), head, told, stored)


@pytest.mark.parametrize(
    ("position", "head", "told", "stored"),
    [
        pytest.param(9, 8, None, None, id="it ends before the stand"),
        pytest.param(5, 8, TOLD, None, id="it ends before the topic"),
        pytest.param(9, 12, TOLD, recorded(UUID(int=4)), id="another command"),
        pytest.param(9, 12, TOLD, recorded(None), id="no command"),
    ],
)
def test_a_log_that_was_set_back_is_seen(
    position: int, head: int, told: Origin | None, stored: Recorded | None
) -> None:
    with pytest.raises(Broken, match="migrate --new-epoch"):
        same_log("t", stood(position), head, told, stored)
