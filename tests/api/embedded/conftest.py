"""A data folder for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.embedded.support import public_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Not yet there; afterwards it is deleted, and no process may be left in it."""
    with public_folder() as folder:
        yield folder / "data"
