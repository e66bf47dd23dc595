"""The optimiser as tests use it: with worker processes of its own, which end with it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from write_side.optimiser.chain import ExactOptimiser
from write_side.optimiser.pool import Pool

_PATIENT = """
import sys
from write_side.optimiser import milp, worker
milp._HIGHS["time_limit"] = milp._SCIP["limits/time"] = 60.0
worker.main(*sys.argv[1:])
"""


def patient() -> Pool:
    """Return a pool whose solvers are bounded by their nodes alone, however slow the machine is."""
    return Pool(limit=150, start_limit=60, program=(sys.executable, "-c", _PATIENT))


@asynccontextmanager
async def opened() -> AsyncIterator[ExactOptimiser]:
    """Yield an optimiser."""
    pool = patient()
    try:
        yield ExactOptimiser(pool, max_time=600)
    finally:
        await pool.close()
