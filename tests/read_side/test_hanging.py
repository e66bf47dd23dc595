"""A database that hangs is told once its time is over, not once for every connection that could be tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.errors import StoreUnavailable
from read_side.adapters import postgres
from read_side.adapters.postgres import PostgresViewStore
from read_side.signals import Signals


class Hanging:
    """A connection whose statements never end."""

    async def execute(self, *_arguments: Any, **_options: Any) -> None:
        await asyncio.Event().wait()


async def test_a_statement_that_hangs_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    @asynccontextmanager
    async def connections() -> AsyncIterator[Any]:
        nonlocal taken
        taken += 1
        yield Hanging()

    monkeypatch.setattr(postgres, "_LIMIT", 0.01)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await PostgresViewStore(connections, Signals()).lags()
    assert taken == 1
