"""Names of securities, for people: a ticker and a name for each instrument id (contract "002")."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from domain.base import Aggregate, Created, Event
from domain.errors import Fault, Invalid
from domain.portfolio.rules import wrong_instrument_id

MAX_TICKER = 20
MAX_NAME = 200


def wrong_ticker(ticker: str) -> str | None:
    """Return what is wrong with a ticker, or None; white space around it does not count."""
    length = len(ticker.strip())
    return None if 1 <= length <= MAX_TICKER else f"has {length} characters, 1 to {MAX_TICKER} are taken"


def wrong_name(name: str) -> str | None:
    """Return what is wrong with the name of a security, or None; white space around it does not count."""
    length = len(name.strip())
    return None if 1 <= length <= MAX_NAME else f"has {length} characters, 1 to {MAX_NAME} are taken"


class SecurityNamed(Created):
    """A security got its first ticker and name."""

    TOPIC = "security.named.v1"
    ticker: str
    name: str


class SecurityRenamed(Event):
    """A security got another ticker or name."""

    TOPIC = "security.renamed.v1"
    ticker: str
    name: str


class Security(Aggregate):
    """One security; its natural key is the ``security_id``, which is the ``instrument_id`` of positions and prices."""

    TOPIC = "security"

    ticker: str = ""
    name: str = ""

    @classmethod
    def called(cls, security_id: str, ticker: str, name: str, at: datetime) -> Self:
        """Return a security with its first names; raises ``Invalid`` naming every fault."""
        _check(security_id, ticker, name)
        ticker, name = ticker.strip(), name.strip()
        return cls._create(SecurityNamed, id=cls.stream(security_id), timestamp=at, ticker=ticker, name=name)

    def rename(self, ticker: str, name: str, at: datetime) -> None:
        """Take these names; the same again change nothing. Raises ``Invalid`` naming every fault."""
        _check(self.key, ticker, name)
        ticker, name = ticker.strip(), name.strip()
        if (ticker, name) != (self.ticker, self.name):
            self.trigger_event(SecurityRenamed, timestamp=at, ticker=ticker, name=name)

    @property
    def security_id(self) -> str:
        """The natural key."""
        return self.key

    def evolve(self, event: SecurityNamed | SecurityRenamed) -> None:
        self.ticker, self.name = event.ticker, event.name


def _check(security_id: str, ticker: str, name: str) -> None:
    checked = {
        "/security_id": wrong_instrument_id(security_id),
        "/ticker": wrong_ticker(ticker),
        "/name": wrong_name(name),
    }
    faults = [Fault(pointer, wrong) for pointer, wrong in checked.items() if wrong]
    if faults:
        raise Invalid(*faults)
