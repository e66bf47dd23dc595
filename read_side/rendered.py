"""Rendered bytes and whether they are still true: a stamp says what they were made of.

Between two events nothing of a portfolio changes, and a price that has not been replaced is the price; so the version
of the portfolio and the log position of the newest price among its holdings say everything.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

DAY = 86_400
NO_BUILD = "-"
"""Nothing is known yet of the log that is read."""


class Stamp(NamedTuple):
    """What bytes were made of: the portfolio's version, the log position of the newest price in it, and which log and
    which builds of the views these were read from, without blanks.
    """

    version: int
    price: int
    build: str = NO_BUILD


class Rendered(NamedTuple):
    """JSON bytes as they are sent, and what they were made of."""

    body: bytes
    stamp: Stamp

    @property
    def version(self) -> int:
        """The aggregate's version, for the ``ETag``."""
        return self.stamp.version


class Lifetime(NamedTuple):
    """How long a copy stays (seed 004, Redis caching strategy); with ``today`` not past the UTC day."""

    seconds: int
    today: bool = False

    def at(self, clock: float) -> int:
        """Return the seconds from this time (Unix) on, at least one."""
        return max(1, min(self.seconds, DAY - int(clock) % DAY)) if self.today else self.seconds


LIFETIMES = {
    "state": Lifetime(300),
    "positions": Lifetime(60),
    "weights": Lifetime(300),
    "analytics": Lifetime(900, today=True),
}
"""By what is rendered, which is the last part of the key too: ``portfolio:{id}:state``."""


class RenderedCopy(Protocol):
    """Rendered bytes shared between processes; may lose anything at any time, and is never worse than absent."""

    async def get(self, what: str, portfolio_id: str) -> Rendered | None:
        """Return what is there, None where there is nothing that this program can use."""

    def put(self, what: str, portfolio_id: str, rendered: Rendered) -> None:
        """Keep it for its lifetime, soon; never in the place of something newer."""
