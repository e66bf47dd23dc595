"""Idempotency keys whose first request is being answered in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from domain.errors import KeyInFlight
from write_side.log import Remember


class Claims:
    """Refuses the second of two requests with one key at the same time."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()

    @contextmanager
    def of(self, remember: Remember | None) -> Iterator[None]:
        """Hold the key while its first request is answered; raises ``KeyInFlight`` for a second one."""
        if remember is None:
            yield
            return
        name = (remember.caller, remember.key)
        if name in self._held:
            raise KeyInFlight(f"the first request with Idempotency-Key {remember.key!r} is still being answered")
        self._held.add(name)
        try:
            yield
        finally:
            self._held.discard(name)
