"""``python -m samples.trading_desk --rebalance ID``: the desk as a command."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from rich.console import Console

from samples.trading_desk.asking import DeskError
from samples.trading_desk.desk import fill
from samples.trading_desk.shown import table
from samples.trading_desk.trading import Trading

_WIDTH = 160


def main(arguments: list[str] | None = None) -> None:
    """Fill the orders and print what came of it; ends with 1 where an execution was not taken."""
    asked = _parser().parse_args(arguments)
    now = datetime.now(UTC)
    try:
        done = fill(
            asked.application,
            asked.trade_service or None,
            asked.rebalance,
            first_id=int(now.timestamp() * 1000) if asked.first_id is None else asked.first_id,
            now=now,
            trading=Trading(
                parts=asked.parts,
                slippage=asked.slippage,
                leave=asked.leave,
                seed=asked.seed,
                destination=asked.destination,
            ),
            at_least=asked.at_least,
            headers={"Authorization": f"Bearer {asked.api_key}"} if asked.api_key else None,
        )
    except (DeskError, ValueError) as error:
        sys.exit(f"trading desk: {error}")
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=_WIDTH)
    if done.reported or done.left:
        out.print(table(done))
    out.print(
        f"{len(done.reported)} executions: {done.counted('created')} created, {done.counted('skipped')} skipped, "
        f"{done.counted('error')} with errors; {len(done.left)} orders left open."
    )
    if done.counted("error"):
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m samples.trading_desk", description="Fills the orders of a rebalance and reports the executions."
    )
    parser.add_argument("--rebalance", required=True, metavar="ID", help="whose orders are traded")
    parser.add_argument("--application", default="http://127.0.0.1:8080", metavar="URL")
    parser.add_argument(
        "--trade-service",
        default="http://127.0.0.1:8082",
        metavar="URL",
        help="where the executions are made known; empty: the executions name their portfolio and order themselves",
    )
    parser.add_argument("--parts", type=int, default=1, help="fills of each order (default: 1)")
    parser.add_argument("--slippage", type=_decimal, default=Decimal(0), help="how far prices move, 0.01: 1 percent")
    parser.add_argument("--leave", type=int, default=0, help="so many orders are left unfilled")
    parser.add_argument("--first-id", type=int, help="first executionServiceId (default: milliseconds since 1970)")
    parser.add_argument("--seed", default="desk", help="another one trades otherwise")
    parser.add_argument("--destination", default="DESK", help="where it is traded, 20 characters at most")
    parser.add_argument("--at-least", type=int, default=0, metavar="POSITION", help="of the orders, as X-Position told")
    parser.add_argument("--api-key", help="where the application asks for one; scope write")
    return parser


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 0.01") from None


if __name__ == "__main__":
    main()
