"""Parts of the demo that a run which goes well does not show: what is off target, narrow terminals, odd folders."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from api.cli.demo.cells import fitted
from api.cli.demo.client import problem_of
from api.cli.demo.services import surroundings
from api.cli.demo.trading import FIRST_ID, filled, verdict
from domain.command_line import CLI_PLACEHOLDERS, words_of

REBALANCE = {
    "cash_after": Decimal("50.25"),
    "drifts": [{"security_id": "b", "adjusted_quantity": Decimal(3)}],
}
SENT = {"status": "OPEN", "orders": [{"status": "FILLED"}, {"status": "OPEN"}]}


def state(cash: str, **held: int) -> dict[str, Any]:
    positions = [{"instrument_id": name, "quantity": Decimal(count)} for name, count in held.items()]
    cash_line = {"instrument_id": "CASH", "quantity": Decimal(cash)}
    return {"cash_balance": Decimal(cash), "positions": [*positions, cash_line]}


def test_what_is_not_as_wanted_is_named() -> None:
    tickers = {"a": "AGG", "b": "SPY"}
    off, good = state("50.26", a=1, b=2), state("50.25", b=3)
    first, second = verdict(REBALANCE, off, SENT, tickers)
    assert first == "Orders OPEN: 1 of 2 are filled."
    assert second == (
        "Not as the rebalance wanted: AGG (0 wanted, 1 held), SPY (3 wanted, 2 held), cash (50.25 wanted, 50.26 there)."
    )
    assert verdict(REBALANCE, good, SENT, tickers)[1].startswith("Every position is what the rebalance wanted")


@pytest.mark.parametrize(
    ("quantity", "parts"), [("135.1088", ["67", "68.1088"]), ("2", ["1", "1"]), ("1.5", ["1.5"]), ("0.5", ["0.5"])]
)
def test_only_the_first_order_is_filled_in_parts_and_only_in_whole_shares(quantity: str, parts: list[str]) -> None:
    orders = [
        {
            "order_id": f"r-{number}",
            "transaction_type": "BUY",
            "security_id": "a",
            "quantity": each,
            "price": Decimal(2),
        }
        for number, each in enumerate((Decimal(quantity), Decimal(10)), start=1)
    ]
    fills = filled(orders)
    assert [(fill.order.order_id, fill.quantity) for fill in fills] == [
        *(("r-1", Decimal(part)) for part in parts),
        ("r-2", Decimal(10)),
    ]
    assert [fill.service_id for fill in fills] == list(range(FIRST_ID, FIRST_ID + len(fills)))


@pytest.mark.parametrize(("width", "titles"), [(80, ["A", "B", "C"]), (12, ["A", "C"]), (6, ["C"])])
def test_a_table_that_is_too_wide_goes_without_what_can_be_spared(width: int, titles: list[str]) -> None:
    shown = fitted("T", [dict.fromkeys("ABC", "1234")], Console(width=width), left=(), spare=("B", "A"), foot={})
    assert [column.header for column in shown.columns] == titles


def test_the_accounting_program_is_found_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "it's {a} folder"
    words = words_of(surroundings(folder, "http://127.0.0.1:1")["CLI_COMMAND"], CLI_PLACEHOLDERS)
    filled_in = [word.format_map({"file": "F", "output_dir": "O"}) for word in words]
    assert filled_in[1:] == [
        *["-m", "samples.accounting_cli", "process", "--file", "F", "--output-dir", "O"],
        *["--ledger", str(folder / "accounting" / "ledger.csv")],
    ]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"code": "not-found", "detail": "it is gone"}, ("not-found", "it is gone")),
        ({"message": "busy", "status": 409, "details": {"code": "batch-in-progress"}}, ("batch-in-progress", "busy")),
        ({"message": "busy", "details": {"code": "c", "detail": "another run"}}, ("c", "another run")),
        ({"results": [{"status": "skipped"}, {"status": "error", "error": "no answer"}]}, (None, "no answer")),
        ([], (None, None)),
    ],
)
def test_problems_are_understood_in_each_of_their_bodies(body: Any, wanted: tuple[str | None, str | None]) -> None:
    problem = problem_of(json.dumps(body).encode())
    assert (problem.get("code"), problem.get("detail")) == wanted
