"""How the desk asks the application and the trade service: over HTTP, with exact numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2

from samples.trade_service.exact import dumps, loads


class DeskError(Exception):
    """The desk cannot do what it is to do; the message is for people."""


@dataclass(frozen=True)
class Told:
    """What was answered: the body, numbers exact, and the log position that a command has reached (else 0)."""

    status: int
    body: Any
    position: int


class Asking:
    """Asks one service by its base URL."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str] | None = None, timeout: float = 60) -> None:
        self._name = name
        self._client = httpx2.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(
        self, method: str, path: str, body: Any = None, *, good: Collection[int] = (200, 201), at_least: int = 0
    ) -> Told:
        """Return the answer, one that has seen this log position; raises ``DeskError`` unless its status is good."""
        headers = {"X-Min-Position": str(at_least), "Prefer": "wait=10"} if at_least else {}
        content = None
        if body is not None:
            content, headers["Content-Type"] = dumps(body), "application/json"
        asked = f"{self._name}: {method} {path}"
        try:
            response = self._client.request(method, path, content=content, headers=headers)
        except httpx2.HTTPError as error:
            raise DeskError(f"{asked} was not answered: {str(error) or type(error).__name__}") from error
        try:
            told = loads(response.content)
        except ValueError as error:
            raise DeskError(f"{asked} was answered {response.status_code} with no JSON: {error}") from None
        if response.status_code not in good:
            raise DeskError(f"{asked} was answered {response.status_code}: {_reason(told)}")
        return Told(response.status_code, told, int(response.headers.get("X-Position", "0")))


def _reason(told: Any) -> str:
    members = told if isinstance(told, dict) else {}
    details = members.get("details")
    return " ".join(str(part) for part in (members.get("detail") or members.get("message") or told, details) if part)
