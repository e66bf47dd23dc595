"""The command on securities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.errors import AlreadyExists, NotFound
from domain.securities import Security
from write_side.event_store import Done, EventStore
from write_side.log import Context


@dataclass(frozen=True, kw_only=True)
class NameSecurity:
    """Give a security its ticker and name, whether it had others or none."""

    security_id: str
    ticker: str
    name: str

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Security]:
        """Store the names; the same again are no event. Of two that give the first names at once the later renames.

        Raises ``Invalid``, ``StaleVersion`` and what ``EventStore.change`` raises.
        """
        try:
            return await self._renamed(store, context, now)
        except NotFound:
            security = Security.called(self.security_id, self.ticker, self.name, now)
        try:
            return await store.add(
                security, context, taken=lambda: AlreadyExists(f"security {self.security_id} has a name already")
            )
        except AlreadyExists:
            return await self._renamed(store, context, now)

    async def _renamed(self, store: EventStore, context: Context, now: datetime) -> Done[Security]:
        return await store.change(
            Security,
            self.security_id,
            lambda security: security.rename(self.ticker, self.name, now),
            context,
            missing=lambda: NotFound(f"security {self.security_id} has no name"),
        )
