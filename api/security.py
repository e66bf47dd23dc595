"""Who calls: without API keys it is what ``X-User`` says, or ``anonymous``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from api.problems import Misfit, RequestProblem, unfit

ANONYMOUS: Final = "anonymous"
MAX_USER: Final = 100


def caller(headers: Mapping[bytes, bytes]) -> str:
    """Return the name of the caller; raises ``RequestProblem`` (422) for a name that cannot be written down."""
    raw = headers.get(b"x-user")
    if raw is None:
        return ANONYMOUS
    name = raw.decode("utf-8", "replace").strip()
    if not 1 <= len(name) <= MAX_USER or not name.isprintable() or "�" in name:
        raise RequestProblem(unfit(Misfit("header", "X-User", f"give 1 to {MAX_USER} printable characters in UTF-8")))
    return name
