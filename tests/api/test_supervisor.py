"""Looking after the processes of ours: one that is needed must not keep ending, one that is not rests in between."""

from __future__ import annotations

import sys

import pytest

from api import supervisor
from api.supervisor import CRASHES, REST, Child, GaveUp


@pytest.fixture(autouse=True)
def at_leisure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count ends however far apart they are: a process takes its time here and there."""
    monkeypatch.setattr(supervisor, "WITHIN", 3600.0)


def ended(child: Child) -> None:
    """Start the child, whatever pause there was to be, and let it end."""
    child.look_after()
    if child.process is None:
        child.next_try = 0.0
        child.look_after()
    assert child.process is not None
    child.process.wait()


def children(*, needed: bool) -> Child:
    """Return a child that ends at once: there is no such command."""
    return Child("it", ["no-such-command"], {}, needed=needed)


def test_what_keeps_ending_and_is_needed_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    child = children(needed=True)
    for _ in range(CRASHES + 1):
        ended(child)
    with pytest.raises(GaveUp, match=f"process it ended {CRASHES + 1} times within 3600 seconds"):
        child.look_after()


def test_what_keeps_ending_and_is_not_needed_rests_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    child = children(needed=False)
    for _ in range(CRASHES + 10):
        ended(child)
    child.look_after()
    assert len(child.ends) == CRASHES + 10
    assert 0 < child.next_try - child.ends[-1] <= REST
