"""The breaker in front of what is optional: one failure opens it, pauses grow, one trial a pause."""

from __future__ import annotations

from read_side.optional import Breaker


def fails_and_is_due_after(breaker: Breaker, now: list[float], pause: float) -> None:
    breaker.failed()
    now[0] += pause - 0.01
    assert not breaker.due()
    now[0] += 0.01
    assert breaker.due()


def test_pauses_grow_and_a_success_that_lasts_ends_them() -> None:
    now = [0.0]
    breaker = Breaker(1, 4, clock=lambda: now[0])
    for pause in (1, 2, 4, 4):
        fails_and_is_due_after(breaker, now, pause)
        assert not breaker.due()
    breaker.went_well()
    now[0] += 4
    breaker.failed()
    now[0] += 1
    assert breaker.due()


def test_one_that_is_back_and_fails_at_once_is_left_alone_for_longer_each_time() -> None:
    now = [0.0]
    breaker = Breaker(1, 4, clock=lambda: now[0])
    for pause in (1, 2, 4, 4):
        fails_and_is_due_after(breaker, now, pause)
        breaker.went_well()
        assert breaker.closed
