"""The store of views under test, once for every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from read_side.store import SearchableViewStore
from tests.contracts.view_stores import STORES


@pytest.fixture(params=STORES, ids=lambda make: make.__name__)
async def any_store(request: pytest.FixtureRequest) -> AsyncIterator[SearchableViewStore]:
    """A store in which no view has been made yet."""
    async with request.param(request.getfixturevalue) as made:
        yield made
