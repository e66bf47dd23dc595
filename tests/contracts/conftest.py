"""The store of views under test, once for every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from read_side.store import SearchableViewStore
from tests.contracts.view_stores import STORES


@pytest.fixture(params=STORES, ids=lambda make: make.__name__)
async def any_store(request: pytest.FixtureRequest) -> AsyncIterator[SearchableViewStore]:
    """A store in which no view has been made yet."""
    async with request.param(request.getfixturevalue) as made:
        yield made


@pytest.fixture(params=STORES, ids=lambda make: make.__name__, scope="module")
async def any_kept_store(request: pytest.FixtureRequest) -> AsyncIterator[SearchableViewStore]:
    """The same, one for all tests of a module that ask for it and change nothing."""

    def kept(name: str) -> Any:
        return request.getfixturevalue(
            {"database_url": "kept_database_url", "index_prefix": "kept_index_prefix"}.get(name, name)
        )

    async with request.param(kept) as made:
        yield made
