"""A child process ends with its parent, however the parent ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT = "FOLIOLOG_PARENT"
"""Environment variable with the process id of the parent that a child must not outlive."""
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """On Linux, have this process killed when its parent ends; nothing for a process that nobody supervises.

    Killed, not asked: the parent died without stopping it, so whatever it was doing is settled in the log at the next
    start, and its port is free at once.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent process has ended")
