"""What the commands on rebalances answer: results of a run as JSON, made in slices and sent in parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import msgspec
from starlette.responses import StreamingResponse

from api.rebalance_problems import error_json
from domain.base import Event
from domain.rebalance import Rebalance, RebalanceRun
from read_side.rebalance_rendering import rebalance_json
from read_side.wire import encode
from write_side.gate import Gate
from write_side.rebalance import Result

OF_PORTFOLIO: Final = "/api/v1/rebalance/portfolio"
OPERATIONS: Final = "/api/v1/operations"
_PART: Final = 256 * 1024
"""Bytes that are sent at once."""


class Receipt(msgspec.Struct, frozen=True):
    """What is stored under an Idempotency-Key instead of results, which can be tens of megabytes: the log has them."""

    run_id: str


class Operation(msgspec.Struct, frozen=True):
    """A run that is recorded and will be done."""

    operation_id: str
    status: str
    total: int
    done: int = 0
    failed: int = 0


async def receipt(run: RebalanceRun, _: Sequence[Event]) -> bytes:
    """Return the receipt of a run."""
    return encode(Receipt(run.run_id))


async def operation(run: RebalanceRun, _: Sequence[Event]) -> bytes:
    """Return how far a run has come that has just been asked for; ``position`` is still to be added."""
    return encode(Operation(run.run_id, "RUNNING", len(run.portfolios)))


async def results_json(gate: Gate, run: RebalanceRun, results: Sequence[Result], *, preview: bool) -> list[bytes]:
    """Return each result as JSON: a ``RebalanceDTO`` as it was recorded, or a portfolio with its problem."""

    def rendered(result: Result) -> bytes:
        if isinstance(result, Rebalance):
            return rebalance_json(run, result, preview=preview, version=1)
        return bytes(error_json(result, run.model_id, f"{OF_PORTFOLIO}/{result.portfolio_id}"))

    return await gate.map(rendered, results)


class ListOf(StreamingResponse):
    """A bare list of what is rendered already, sent in parts: nothing as large as the whole is ever made."""

    def __init__(self, items: Sequence[bytes], headers: Mapping[str, str]) -> None:
        length = sum(map(len, items)) + max(1, len(items)) + 1
        super().__init__(_parts(items), headers={**headers, "Content-Length": str(length)})


async def _parts(items: Sequence[bytes]) -> AsyncIterator[bytes]:
    part = bytearray(b"[")
    for number, item in enumerate(items):
        if number:
            part += b","
        part += item
        if len(part) >= _PART:
            yield bytes(part)
            part.clear()
    yield bytes(part + b"]")
