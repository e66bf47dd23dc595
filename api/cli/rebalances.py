"""The operator's check of recorded rebalances against the log, without a solver."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.failing import Failed, sentences
from api.cli.views import DataDir, on_database
from api.settings import Settings

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of rebalances; without any, all that there are.")
]


@sentences
def verify_rebalances(rebalance_ids: Ids = None, data_dir: DataDir = None) -> None:
    """Check recorded rebalances again from the log alone; exit code 1 where something does not hold."""
    from api.bootstrap.operating import operating
    from read_side.rebalance_verification import verified, verified_ones

    async def check(settings: Settings) -> tuple[int, int]:
        checked = bad = 0
        async with operating(settings) as parts:
            log = parts.history
            async for each in verified_ones(log, rebalance_ids) if rebalance_ids else verified(log, log):
                checked += each.rebalance_id is not None
                if each.faults:
                    bad += 1
                    print(f"{each.rebalance_id or 'an event'} at position {each.position}:")
                for fault in each.faults:
                    print(f"  {fault}")
        return checked, bad

    checked, bad = on_database(check, data_dir)
    print(f"rebalances checked: {checked:,}")
    if bad:
        raise Failed(f"of what was checked {bad:,} does not hold")
