"""How the trade service answers: well, or with one of the failures that a client must stand."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Self


class Mode(StrEnum):
    """The ways in which a look-up is answered."""

    OK = "ok"
    SLOW = "slow"
    """Well, but after so many ``seconds``."""
    DEAD = "dead"
    """The connection is closed without an answer."""
    CUT = "cut"
    """The connection is closed in the middle of the answer."""
    ERROR = "error"
    """500."""
    ERROR_FIRST = "error-first"
    """500 for the first ``calls`` calls of each id, then well."""
    BUSY = "busy"
    """429."""
    BAD_REQUEST = "bad-request"
    """400."""
    NOT_FOUND = "not-found"
    """404."""
    GARBAGE = "garbage"
    """200 with something that is not JSON."""
    ODD = "odd"
    """200 with JSON of another shape, a different one at each call of an id."""
    EMPTY = "empty"
    """No execution, as for an id that is not known."""
    NULL_PORTFOLIO = "null-portfolio"
    EMPTY_ID = "empty-id"
    """A portfolio whose id is empty."""
    BAD_ID = "bad-id"
    """A portfolio whose id is none."""
    FLAKY = "flaky"
    """500 for a ``share`` of the calls, by ``seed``: the n-th call of an id always ends the same way."""


MAX_SECONDS: Final = 3600


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What the service is switched to; ``only`` are the ids that this is about, none: all."""

    mode: Mode = Mode.OK
    seconds: Decimal = Decimal(1)
    calls: int = 1
    share: Decimal = Decimal("0.5")
    seed: str = "trade service"
    only: frozenset[int] = frozenset()

    @classmethod
    def of(cls, asked: object) -> Self:
        """Return the switch that a JSON object asks for; raises ``ValueError``."""
        if not isinstance(asked, Mapping) or "mode" not in asked:
            raise ValueError(f'a switch is an object such as {{"mode": "{Mode.SLOW}", "seconds": 2}}')
        if odd := sorted(set(asked) - {each.name for each in fields(cls)}):
            raise ValueError(f"a switch has no {', '.join(map(repr, odd))}")
        if asked["mode"] not in list(Mode):
            raise ValueError(f"mode is {asked['mode']!r:.40}, there are {', '.join(Mode)}")
        read = {name: _READ[name](name, value) for name, value in asked.items()}
        return cls(**read)

    def told(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"only": sorted(self.only)}

    def at(self, service_id: int, nth: int) -> Mode:
        """Return how call number ``nth`` of this id since the switch was set is answered; never "first" or "flaky"."""
        if self.only and service_id not in self.only:
            return Mode.OK
        match self.mode:
            case Mode.ERROR_FIRST:
                return Mode.ERROR if nth <= self.calls else Mode.OK
            case Mode.FLAKY:
                drawn = random.Random(f"{self.seed}/{service_id}/{nth}").getrandbits(32)
                return Mode.ERROR if Decimal(drawn) < self.share * 2**32 else Mode.OK
            case mode:
                return mode


def _number(name: str, value: object, low: int, high: int) -> Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and low <= value <= high:
        return Decimal(value)
    raise ValueError(f"{name} is {value!r:.40}, give a number from {low} to {high}")


def _count(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{name} is {value!r:.40}, give a whole number, 0 or more")


def _ids(name: str, value: object) -> frozenset[int]:
    if isinstance(value, list | tuple | set | frozenset):
        return frozenset(_count(name, each) for each in value)
    raise ValueError(f"{name} is {value!r:.40}, give a list of executionServiceId")


_READ: Final[Mapping[str, Any]] = {
    "mode": lambda _, value: Mode(value),
    "seconds": lambda name, value: _number(name, value, 0, MAX_SECONDS),
    "calls": _count,
    "share": lambda name, value: _number(name, value, 0, 1),
    "seed": lambda _, value: str(value),
    "only": _ids,
}
"""How each member is read from JSON."""
