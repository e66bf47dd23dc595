"""Executions on their way to accounting: the batch, its file, and what stands in the ledger of the sample program."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.demo.cells import Cells, fitted, money
from api.cli.demo.client import Client, Refused, Request
from api.cli.demo.rebalancing import Result
from api.cli.demo.services import file_in, ledger_in
from api.cli.demo.trading import Execution, Traded
from domain.values import EXACT, summed

_LINES: Final = 3
"""So many lines of the file are shown after the first one."""
_Row = Mapping[str, str]


class Side(NamedTuple):
    """Executions as one of the two sides has them: how many, and what was bought and sold in money."""

    number: int
    bought: Decimal
    sold: Decimal


def show_accounting(client: Client, rebalance: Result, traded: Traded, data_dir: Path, out: Console) -> None:
    """Send the executions to accounting and print the batch, its file, and what accounting has booked of them.

    Asked for again, nothing is sent a second time. Raises ``Refused`` with what the server does not do, ``Failed``.
    """
    send = Request("POST", "/api/v1/executions/send", b"", f"demo/send/{rebalance['rebalance_id']}", 0)
    position = max(client.send(send).position, traded.position)
    ours = {f"AC{each['id']}" for each in traded.executions}
    batch = _batch_of(ours, client.get("/api/v1/batches?limit=1000", position)["items"], data_dir)
    for line in told_of(batch, file_in(data_dir, batch["fileName"])):
        out.print(line, soft_wrap=True, markup=False)
    out.print()
    booked = [row for row in _rows(ledger_in(data_dir)) if row["source_id"] in ours]
    out.print(compared(of_executions(traded.executions), of_ledger(booked), out))
    out.print()


def _batch_of(ours: set[str], batches: Iterable[dict[str, Any]], data_dir: Path) -> dict[str, Any]:
    """Return the last batch that has one of these executions in its file; raises ``Refused`` where none has."""
    for batch in batches:
        path = file_in(data_dir, batch["fileName"])
        if any(row["source_id"] in ours for row in _rows(path)):
            return batch
    raise Refused(f"none of {len(ours)} executions is in a file in {file_in(data_dir, '')}")


def told_of(batch: Mapping[str, Any], path: Path) -> list[str]:
    """Return the lines that show a batch and the beginning of its file."""
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    shown, more = rest[:_LINES], len(rest) - _LINES
    counts = f"{batch['count']} executions, {batch['rejectedCount']} rejected"
    return [
        f"Batch {batch['id']} for accounting: {batch['status']}, {counts}, in {path.name}",
        *(f"  {line}" for line in [first, *shown]),
        *([f"  … and {more} more"] if more > 0 else []),
        f"Accounting: {batch['cliOutput'].strip() or batch['reason'] or 'has said nothing'}",
    ]


def of_executions(executions: Sequence[Execution]) -> Side:
    """Return what was recorded."""
    return _side(executions, lambda each: each["tradeType"], lambda each: each["totalAmount"])


def of_ledger(rows: Sequence[_Row]) -> Side:
    """Return what accounting has booked: each row by its quantity and price."""

    def amount(row: _Row) -> Decimal:
        return EXACT.multiply(Decimal(row["quantity"]), Decimal(row["price"]))

    return _side(rows, lambda row: row["transaction_type"], amount)


def compared(here: Side, there: Side, out: Console) -> Table:
    """Return the table of what is recorded here, what accounting has booked, and the difference in the last line."""
    lines = [_line("Recorded and booked here", here), _line("In the ledger of accounting", there)]
    left = Side(here.number - there.number, here.bought - there.bought, here.sold - there.sold)
    foot = _line("Difference", left)
    return fitted("What accounting has booked", lines, out, left={""}, spare=(), foot=foot)


def _line(name: str, side: Side) -> Cells:
    return {
        "": name,
        "Executions": Text(str(side.number)),
        "Bought": money(side.bought),
        "Sold": money(side.sold),
        "Cash": money(side.sold - side.bought),
    }


def _side(each: Sequence[Any], kind: Callable[[Any], str], amount: Callable[[Any], Decimal]) -> Side:
    bought, sold = (summed(amount(one) for one in each if kind(one) == wanted) for wanted in ("BUY", "SELL"))
    return Side(len(each), bought, sold)


def _rows(path: Path) -> list[_Row]:
    """Return the rows of a CSV file, none of one that is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
