"""Ports of 127.0.0.1 for servers of the tests, which nobody else gets meanwhile, whether the server runs or not."""

from __future__ import annotations

import os
import random
import socket
import sys
import weakref
from pathlib import Path

_BELOW_THE_EPHEMERAL = range(20_000, 32_000)
_random = random.SystemRandom()  # no seed of a test makes two processes look at the same ports


def free_port() -> int:
    """Return a free port, kept for this process until it ends."""
    port = None
    while port is None:
        port = _taken(_random.choice(_BELOW_THE_EPHEMERAL), None)
    return port


def ports_of(owner: object, path: Path, count: int) -> list[int]:
    """Return free ports, the last time's if can be, and keep them as long as the owner is there.

    The file tells them, so that who starts the folder's server anew finds it at the same place.
    """
    last = [int(word) for word in path.read_text().split()] if path.exists() else []
    if len(last) == count and all(map(_free, last)):
        for one in last:
            _taken(one, owner)  # unless an owner before this one has it still
        return last
    found: set[int] = set()
    while len(found) < count:
        if (port := _taken(_random.choice(_BELOW_THE_EPHEMERAL), owner)) is not None:
            found.add(port)
    path.write_text(" ".join(map(str, found)))
    return list(found)


def listened_to(port: int) -> bool:
    """Return whether a server is still at the port, even one that takes no connections."""
    return not _free(port)


def _taken(port: int, owner: object | None) -> int | None:
    """Return the port if nobody has it, and from now on we do; None otherwise.

    A socket is bound to it that never listens. It takes the port from whoever looks for one, and from connections that
    go out; a server binds its own beside it, for both say that they allow that. Elsewhere than on Linux it could not.
    """
    with socket.socket() as holding:
        try:
            holding.bind(("127.0.0.1", port))
        except OSError:
            return None
        if sys.platform == "linux":
            holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            descriptor = holding.detach()
            if owner is not None:
                weakref.finalize(owner, os.close, descriptor)
    return port


def _free(port: int) -> bool:
    """Return whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
