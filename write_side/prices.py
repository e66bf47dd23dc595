"""The command on prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.errors import AlreadyExists
from domain.prices import PriceUpload
from write_side.event_store import Done, EventStore
from write_side.log import Context


@dataclass(frozen=True, kw_only=True)
class UploadPrices:
    """Give prices of instruments, all as of one time; each counts where it is not older than the one known."""

    prices: Mapping[str, Decimal]
    as_of: datetime

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[PriceUpload]:
        """Store the upload in a stream of its own, named by the command.

        Raises ``Invalid`` and what ``EventStore.add`` raises.
        """
        upload = PriceUpload.of(context.command_id, self.prices, self.as_of, now=now)
        return await store.add(upload, context, taken=lambda: AlreadyExists(f"upload {upload.key} already exists"))
