"""A breaker that counts how often somebody waited in vain for a server that is silent."""

from __future__ import annotations

from read_side.optional import Breaker


class Waited(Breaker):
    """Counts the failures that opened it; while it is open nobody waits, but for what looks whether it may close."""

    times = 0

    def failed(self) -> None:
        self.times += self.closed
        super().failed()
