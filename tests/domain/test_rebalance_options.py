"""The options of a rebalance: by default seed 002, every wrong figure and every contradiction named at its place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from domain.errors import Fault
from domain.rebalance import Mode, OnInfeasible, Options, wrong_options
from domain.rebalance.options import MAX_NAMED

D = Decimal
A, B = "60AABBCCDDEEFF0011223344", "60AABBCCDDEEFF0011223355"


def pointers(**told: Any) -> list[str]:
    """Return where these options are wrong."""
    return [fault.pointer for fault in wrong_options(Options(**told))]


def test_the_defaults_are_the_seed_and_take_no_room_in_the_log() -> None:
    assert wrong_options(Options()) == []
    assert msgspec.json.encode(Options()) == b"{}"
    options = Options()
    assert (options.mode, options.on_infeasible) == (Mode.TO_TARGET, OnInfeasible.ERROR)
    assert {options.min_cash, options.min_cash_percent, options.min_trade} == {D(0)}
    assert (options.buy_only, options.sell_only, options.do_not_trade, options.lot_size) == (False, False, (), {})


def test_options_stand_in_the_log_as_they_were() -> None:
    options = Options(
        mode=Mode.BREACHED_ONLY,
        min_cash=D("0.00000001"),
        sell_only=True,
        do_not_trade=(A,),
        min_trade=D("999999999999999.99999999"),
        lot_size={B: D("0.5")},
        on_infeasible=OnInfeasible.NEAREST,
    )
    assert wrong_options(options) == []
    assert msgspec.json.decode(msgspec.json.encode(options), type=Options) == options


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"min_cash": D("-0.01")}, "/min_cash"),
        ({"min_cash": D("0.000000001")}, "/min_cash"),
        ({"min_cash": D("1E15")}, "/min_cash"),
        ({"min_cash_percent": D("-1")}, "/min_cash/percent"),
        ({"min_cash_percent": D("100.00000001")}, "/min_cash/percent"),
        ({"min_cash_percent": D("0.000000001")}, "/min_cash/percent"),
        ({"min_trade": D("-1")}, "/min_trade"),
        ({"min_trade": D("0.000000001")}, "/min_trade"),
        ({"do_not_trade": ("a b",)}, "/do_not_trade/0"),
        ({"do_not_trade": (A, "CASH")}, "/do_not_trade/1"),
        ({"do_not_trade": (A, B, A)}, "/do_not_trade/2"),
        ({"lot_size": {A: D(0)}}, f"/lot_size/{A}"),
        ({"lot_size": {A: D(-1)}}, f"/lot_size/{A}"),
        ({"lot_size": {A: D("0.000000001")}}, f"/lot_size/{A}"),
        ({"lot_size": {"a/b~c": D(1)}}, "/lot_size/a~1b~0c"),
        ({"buy_only": True, "sell_only": True}, "/sell_only"),
        ({"min_cash": D(1), "min_cash_percent": D(1)}, "/min_cash"),
        ({"do_not_trade": (A,), "lot_size": {A: D(2)}}, f"/lot_size/{A}"),
        ({"do_not_trade": tuple(f"S{number}" for number in range(MAX_NAMED + 1))}, "/do_not_trade"),
        ({"lot_size": {f"S{number}": D(1) for number in range(MAX_NAMED + 1)}}, "/lot_size"),
    ],
)
def test_what_is_wrong_is_named_at_its_place(told: dict[str, Any], expected: str) -> None:
    assert pointers(**told) == [expected]


@pytest.mark.parametrize(
    "told",
    [
        {"min_cash": D("999999999999999.99999999")},
        {"min_cash_percent": D(100)},
        {"min_cash_percent": D(0), "min_cash": D(5)},
        {"lot_size": {A: D("0.00000001"), B: D(1_000_000)}},
        {"do_not_trade": (A,), "lot_size": {B: D(2)}},
        {"do_not_trade": tuple(f"S{number}" for number in range(MAX_NAMED))},
        {"buy_only": True, "mode": Mode.TO_BAND, "min_trade": D(5)},
    ],
)
def test_the_edges_are_taken(told: dict[str, Any]) -> None:
    assert pointers(**told) == []


def test_all_faults_are_named_at_once() -> None:
    assert pointers(
        min_cash=D(-1),
        min_cash_percent=D(101),
        min_trade=D(-1),
        do_not_trade=("", A),
        lot_size={A: D(0)},
        buy_only=True,
        sell_only=True,
    ) == [
        "/min_cash",
        "/min_cash/percent",
        "/min_trade",
        "/do_not_trade/0",
        f"/lot_size/{A}",
        "/sell_only",
        "/min_cash",
        f"/lot_size/{A}",
    ]


def test_a_fault_says_what_was_seen_and_what_would_be_right() -> None:
    (fault,) = wrong_options(Options(min_cash_percent=D("250.50")))
    assert fault == Fault("/min_cash/percent", "250.5 is not a percentage from 0 to 100")
    (fault,) = wrong_options(Options(buy_only=True, sell_only=True))
    assert "buy_only" in fault.detail
    assert "leave one of them out" in fault.detail
