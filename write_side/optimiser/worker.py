"""A process that solves covers: JSON lines in, JSON lines out, until the input ends (``python -m`` this module).

Its arguments are the solvers in order, with commas, and the id of the process it must not outlive. Whatever else is
written to standard output goes to standard error.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any, BinaryIO

from write_side.optimiser import messages
from write_side.optimiser.milp import Solvers

_PR_SET_PDEATHSIG = 1
_NICE = 5


def _end_with(parent: int) -> None:
    """On Linux, have this process killed when its parent ends."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent process has ended")


def _own_output() -> BinaryIO:
    """Return standard output; what solvers print there goes to standard error from now on."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def main(names: str, parent: str) -> None:
    """Answer until the input ends."""
    _end_with(int(parent))
    out = _own_output()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides when to end
    os.nice(_NICE)
    solvers = Solvers(tuple(names.split(",")))

    def say(message: dict[str, Any]) -> None:
        out.write(messages.line(message))
        out.flush()

    say(messages.READY)
    for text in sys.stdin.buffer:
        task = messages.parsed(text)
        number, cover = task["id"], messages.cover_of(task)
        solvers.compiled(cover)
        say(messages.begun(number))
        for solved in solvers.solve(cover, task["known"], task["tolerance"]):
            say(messages.found(number, solved))
        say(messages.done(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
