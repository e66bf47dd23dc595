"""Rows stored in Elasticsearch by bulk requests: what is refused for now is sent again, what is refused is told."""

from __future__ import annotations

import asyncio
from typing import Any

from elasticsearch import ApiError, AsyncElasticsearch

from domain.errors import Broken, StoreUnavailable
from read_side.adapters.elasticsearch_link import served
from read_side.store import Fenced
from read_side.tasks import pause

_NEWER = 409
"""The index has the row as it was changed later, or has it already."""
_LONGEST = 2.0


class Bulk:
    """Sends the lines of rows to one index through ``alias``, which nothing but that index has.

    Each is sent ``attempts`` times at most, with pauses in seconds that grow from ``pause`` on.
    """

    def __init__(self, client: AsyncElasticsearch, alias: str, what: str, *, attempts: int, pause: float) -> None:
        self._client, self._alias, self._what = client, alias, what
        self._attempts, self._pause = attempts, pause

    async def store(self, lines: dict[str, bytes]) -> None:
        """Return once every row is stored, or a newer one of its key.

        Raises ``StoreUnavailable`` where some are still refused for now, ``Fenced`` where there is no such index, and
        ``Broken`` naming a row that is refused for good.
        """
        reason = ""
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(pause(attempt - 1, self._pause, _LONGEST))
            try:
                refused = await self._send(lines)
            except StoreUnavailable as error:
                reason = str(error)
                continue
            if not refused:
                return
            lines = {key: lines[key] for key in refused}
            reason = next(iter(refused.values()))
        raise StoreUnavailable(f"{self._what}: {len(lines)} rows were refused {self._attempts} times: {reason}")

    async def _send(self, lines: dict[str, bytes]) -> dict[str, str]:
        """Return why these rows, by key, were refused for now."""
        body: list[Any] = [b"".join(lines.values())]
        try:
            with served():
                answer = await self._client.bulk(
                    index=self._alias,
                    operations=body,
                    require_alias=True,
                    filter_path="errors,items.*.status,items.*.error",
                )
        except ApiError as error:
            raise Broken(f"{self._what}: Elasticsearch refuses to store rows: {error}") from error
        if not answer["errors"]:
            return {}
        refused = {}
        for key, item in zip(lines, answer["items"], strict=True):
            [result] = item.values()
            if reason := self._judged(key, result):
                refused[key] = reason
        return refused

    def _judged(self, key: str, result: dict[str, Any]) -> str | None:
        """Return why this row was refused for now, None where it is stored."""
        status = result["status"]
        if status < 300 or status == _NEWER:
            return None
        reason = _reason(result["error"])
        if status == 429 or status >= 500:
            return reason
        if result["error"]["type"] == "index_not_found_exception":
            raise Fenced(f"{self._what}: {self._alias} is no longer there: {reason}")
        raise Broken(f"{self._what}: Elasticsearch refuses row {key!r}: {reason}")


def _reason(error: dict[str, Any]) -> str:
    """Return what Elasticsearch says, with what caused it."""
    said = f"{error['type']}: {error['reason']}"
    cause = error.get("caused_by")
    return f"{said}, because of {_reason(cause)}" if cause else said
