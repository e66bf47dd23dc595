"""The view of securities, their names for people, and what can be asked of it (contract "002")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from domain.errors import NotFound
from domain.portfolio.rules import INSTRUMENT_ID
from read_side.lookup import Lookup, settled
from read_side.signals import Signals
from read_side.store import Found, Kind, Row, Rows, Search, SearchableViewStore, View
from read_side.wire import encode


class SecurityRow(Row, frozen=True, kw_only=True, gc=False):
    """What a security is called; ``version`` is the aggregate's, ``named`` the position of its first event."""

    security_id: str
    ticker: str
    name: str
    version: int
    named: int


SECURITIES = View(
    name="securities",
    row=SecurityRow,
    key="security_id",
    fields={
        "security_id": Kind.TEXT,
        "ticker": Kind.TEXT,
        "name": Kind.TEXT,
        "named": Kind.POSITION,
    },
    rest=0.1,
)


class Securities:
    """The queries on securities.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when the view is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals) -> None:
        self._store = store
        self._signals = signals
        self._lookup = Lookup(SECURITIES, store, signals)

    async def by_id(self, security_id: str, *, at_least: int = 0, wait: float = 2.0) -> SecurityRow:
        """Return the security; raises ``NotFound``."""
        known = INSTRUMENT_ID.match(security_id)
        row = await self._lookup.get(security_id, at_least=at_least, wait=wait) if known else None
        if row is None:
            raise NotFound(f"security {security_id[:100]!a} has no name")
        return row

    async def by_ids(
        self, security_ids: Iterable[str], *, at_least: int = 0, wait: float = 2.0
    ) -> dict[str, SecurityRow]:
        """Return those of the securities that have a name, by id."""
        wanted = {security_id for security_id in security_ids if INSTRUMENT_ID.match(security_id)}

        async def ask() -> Rows[SecurityRow]:
            return await self._store.get_many(SECURITIES, wanted)

        read = await settled(ask, SECURITIES, self._store, self._signals, at_least=at_least, wait=wait)
        return dict(read.rows)

    async def search(
        self,
        text: str | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        at_least: int = 0,
        wait: float = 2.0,
    ) -> Found[SecurityRow]:
        """Return securities, the last that got its first name first: with ``text`` in id, ticker or name.

        Raises ``Invalid`` for a cursor that no such page gave.
        """
        asked = Search(
            text=text,
            text_fields=("security_id", "ticker", "name"),
            sort="-named",
            limit=limit,
            cursor=cursor,
        )

        async def ask() -> Found[SecurityRow]:
            return await self._store.search(SECURITIES, asked)

        return await settled(ask, SECURITIES, self._store, self._signals, at_least=at_least, wait=wait)


class Named(Protocol):
    """A security as it is shown: a row of the view, or the aggregate."""

    @property
    def security_id(self) -> str: ...
    @property
    def ticker(self) -> str: ...
    @property
    def name(self) -> str: ...


def security_json(security: Named) -> bytes:
    """Return the security as it is answered."""
    return encode(_shown(security))


def list_json(securities: Iterable[Named], cursor: str | None) -> bytes:
    """Return a page of securities as a list of ours: ``{"items": [...], "next": cursor or null}``."""
    return encode({"items": [_shown(security) for security in securities], "next": cursor})


def _shown(security: Named) -> dict[str, str]:
    return {"security_id": security.security_id, "ticker": security.ticker, "name": security.name}
