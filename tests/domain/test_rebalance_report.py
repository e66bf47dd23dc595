"""A recorded rebalance: its streams, the trades and drifts people see, and that nothing in it can be wrong unseen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from domain.base import fold
from domain.codec import decode, encode
from domain.errors import NotFound
from domain.investment_model import ModelPosition
from domain.rebalance import (
    Answer,
    BoundBy,
    Certificate,
    Drift,
    Failure,
    Line,
    OnInfeasible,
    Options,
    Problem,
    Proof,
    Rebalance,
    RebalanceDeleted,
    RebalanceRecorded,
    RebalanceRun,
    RebalanceRunFinished,
    RebalanceRunPriced,
    RebalanceRunRequested,
    Trade,
    check,
    drifts,
    faults,
    objective,
    problem_of,
    rebalance_id_of,
    trades,
)
from domain.values import EXACT, ZERO
from tests.domain.given import given
from tests.domain.portfolios import NOW

D = Decimal
A, B, C, OLD = (f"60AABBCCDDEEFF001122334{number}" for number in range(4))
POSITIONS = (
    ModelPosition(A, D(60), D(5), D(5)),
    ModelPosition(B, D("30.005"), D(2), D("2.5")),
    ModelPosition(C, D(1), D(1), D(1)),
)
PRICES = {A: D("100"), B: D("33.33"), C: D("7"), OLD: D("12.5")}
HELD = {A: D(700), B: D("10.5"), OLD: D("3.25")}
CASH = D("29609.41")


def run(options: Options | None = None) -> RebalanceRun:
    """Return a run with its prices."""
    found = RebalanceRun.requested(
        "r1",
        model_id="m1",
        model_name="Growth",
        model_version=3,
        positions=POSITIONS,
        portfolios=["P1", "P2"],
        options=options or Options(),
        at=NOW,
    )
    found.price(PRICES, source="price book", price_position=17, trade_date="2025-06-20", at=NOW)
    return found


def problem(options: Options | None = None) -> Problem:
    return problem_of(CASH, HELD, POSITIONS, PRICES, options or Options())


def answer(asked: Problem, quantities: tuple[str, ...] = ("600", "900", "142", "0"), **more: Any) -> Answer:
    """Return quantities with their certificate."""
    given_quantities = tuple(map(D, quantities))
    reached = objective(asked, given_quantities)
    told: dict[str, Any] = {
        "status": Proof.OPTIMAL,
        "minimises": "deviation",
        "objective": reached,
        "lower_bound": reached,
        "gap": ZERO,
        "bound_by": BoundBy.SEPARABILITY,
        "method": "closed form",
        "input_sha256": asked.digest,
    }
    return Answer(given_quantities, Certificate(**told | more))


def recorded(options: Options | None = None, **more: Any) -> Rebalance:
    asked = problem(options)
    return Rebalance.recorded(run(options), "P1", "Portfolio 1", asked, answer(asked, **more), NOW)


# --- problem ---------------------------------------------------------------------------------------------------------


def test_a_line_for_every_security_held_or_modelled_by_id() -> None:
    asked = problem()
    assert asked.lines == (
        Line(A, D(100), D(700), D(60), D(5), D(5)),
        Line(B, D("33.33"), D("10.5"), D("30.005"), D(2), D("2.5")),
        Line(C, D(7), ZERO, D(1), D(1), D(1)),
        Line(OLD, D("12.5"), D("3.25"), ZERO, ZERO, ZERO),
    )
    assert asked.market_value == D(100_000)


def test_what_is_held_at_zero_is_no_line() -> None:
    assert [line.security_id for line in problem_of(CASH, {OLD: ZERO}, (), {}, Options()).lines] == []


def test_a_security_without_price_is_no_problem_that_can_be_stated() -> None:
    with pytest.raises(KeyError):
        problem_of(CASH, {"X": D(1)}, POSITIONS, PRICES, Options())


# --- run -------------------------------------------------------------------------------------------------------------


def test_a_run_is_requested_priced_once_and_finished_once() -> None:
    fresh = RebalanceRun.requested(
        "r1", model_id="m1", model_name="G", model_version=3, positions=POSITIONS, portfolios=["P1"],
        options=Options(buy_only=True), asynchronous=True, request="abc", at=NOW,
    )  # fmt: skip
    (event,) = fresh.collect_events()
    assert isinstance(event, RebalanceRunRequested)
    assert (fresh.run_id, fresh.id, fresh.requested_at, fresh.prices, fresh.failures) == (
        "r1",
        "rebalance-run/r1",
        NOW,
        None,
        None,
    )
    later = NOW + timedelta(seconds=1)
    failure = Failure("P1", "missing-price", "no price", (A,))
    given(fresh).when(
        lambda each: each.price(PRICES, source="s", price_position=1, trade_date="2025-06-20", at=NOW)
    ).when(lambda each: each.price({}, source="t", price_position=2, trade_date="2025-06-21", at=later)).when(
        lambda each: each.finish([failure], NOW)
    ).when(lambda each: each.finish([], later)).then(
        (RebalanceRunPriced, {"prices": PRICES, "source": "s", "price_position": 1, "trade_date": "2025-06-20"}),
        (RebalanceRunFinished, {"failures": (failure,), "timestamp": NOW}),
    )


def test_a_run_and_a_rebalance_load_as_they_were() -> None:
    for aggregate in (run(), recorded()):
        events = aggregate.collect_events()
        stored = [decode(event.TOPIC, encode(event), aggregate.id, event.originator_version) for event in events]
        assert fold(stored) == aggregate


# --- rebalance -------------------------------------------------------------------------------------------------------


def test_a_rebalance_records_all_it_was_made_from() -> None:
    (event,) = recorded().collect_events()
    assert isinstance(event, RebalanceRecorded)
    assert event.originator_id == f"rebalance/{rebalance_id_of('r1', 'P1')}"
    assert (event.market_value, event.cash_before) == (D(100_000), CASH)
    assert event.cash_after == D(100_000) - D(60_000) - D("29997") - D(994)
    assert event.held == HELD
    assert event.quantities == {A: D(600), B: D(900), C: D(142), OLD: ZERO}


def test_a_portfolio_of_a_run_always_has_the_same_rebalance_id() -> None:
    ids = {rebalance_id_of(run_id, portfolio) for run_id in ("r1", "r2") for portfolio in ("P1", "P2", "P1/2")}
    assert len(ids) == 6
    assert rebalance_id_of("r1", "P1") in ids
    assert all(len(each) == 24 and set(each) <= set("0123456789abcdef") for each in ids)


def test_a_rebalance_is_deleted_once() -> None:
    rebalance = recorded()
    later = NOW + timedelta(days=1)
    given(rebalance).when(lambda each: each.delete(later)).then((RebalanceDeleted, {"timestamp": later}))
    with pytest.raises(NotFound):
        rebalance.delete(later)


def test_trades_are_sells_first_and_by_id() -> None:
    assert trades(run(), recorded()) == [
        Trade("SELL", A, D(100), D(100)),
        Trade("SELL", OLD, D("3.25"), D("12.5")),
        Trade("BUY", B, D("889.5"), D("33.33")),
        Trade("BUY", C, D(142), D(7)),
    ]


def test_nothing_to_trade_is_no_trade() -> None:
    held = {A: D(600), B: D(900), C: D(142)}
    asked = problem_of(D("9009"), held, POSITIONS, PRICES, Options())
    same = Rebalance.recorded(run(), "P1", "Portfolio 1", asked, answer(asked, ("600", "900", "142")), NOW)
    assert trades(run(), same) == []
    assert [row.actual for row in drifts(run(), same)] == [D("60.0000"), D("29.9970"), D("0.9940")]


def test_drifts_show_every_security_held_or_modelled() -> None:
    assert drifts(run(), recorded()) == [
        Drift(A, D(700), D(600), D(60), D(5), D(5), D("60.0000")),
        Drift(B, D("10.5"), D(900), D("30.005"), D(2), D("2.5"), D("29.9970")),
        Drift(C, ZERO, D(142), D(1), D(1), D(1), D("0.9940")),
        Drift(OLD, D("3.25"), ZERO, ZERO, ZERO, ZERO, D("0.0000")),
    ]


def test_nothing_held_and_nothing_worth_has_weights_of_zero() -> None:
    asked = problem_of(ZERO, {}, POSITIONS, PRICES, Options())
    empty = Rebalance.recorded(run(), "P1", "Portfolio 1", asked, answer(asked, ("0", "0", "0")), NOW)
    assert trades(run(), empty) == []
    assert {row.actual for row in drifts(run(), empty)} == {ZERO}


# --- verification ----------------------------------------------------------------------------------------------------


def test_what_was_recorded_as_it_is_has_no_faults() -> None:
    assert faults(run(), recorded()) == []


def _price(each: RebalanceRun | Rebalance) -> None:
    if isinstance(each, RebalanceRun) and each.prices:
        each.prices = {**each.prices, A: D("100.01")}


def _set(**fields: Any) -> Callable[[RebalanceRun | Rebalance], None]:
    def change(each: RebalanceRun | Rebalance) -> None:
        for name, value in fields.items():
            if hasattr(each, name):
                setattr(each, name, value)

    return change


def _certified(**fields: Any) -> Callable[[RebalanceRun | Rebalance], None]:
    def change(each: RebalanceRun | Rebalance) -> None:
        if isinstance(each, Rebalance):
            each.certificate = structs.replace(each.certificate, **fields)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_price, "digest"),
        (_set(positions=POSITIONS[:2]), "digest"),
        (_set(options=Options(buy_only=True)), "digest"),
        (_set(held={**HELD, A: D(701)}), "digest"),
        (_set(cash_before=D("29609.42")), "market value"),
        (_set(market_value=D(100_001)), "market value"),
        (_set(quantities={A: D(600), B: D(900), C: D(142), OLD: D(1)}), f"{OLD}: above-band by 12.5"),
        (_set(quantities={A: D(600), B: D(900), C: D("142.5"), OLD: ZERO}), f"{C}: not-whole by 0.5"),
        (_set(quantities={A: D(600), B: D(900), C: D(143), OLD: ZERO}), "objective"),
        (_certified(objective=D(23)), "objective"),
        (_certified(input_sha256="0" * 64), "digest"),
        (_certified(lower_bound=D(1)), "gap"),
        (_certified(gap=D("0.01")), "gap"),
        (_certified(status=Proof.NEAREST), "objective"),
    ],
)
def test_whatever_is_changed_afterwards_is_seen(change: Callable[[RebalanceRun | Rebalance], None], words: str) -> None:
    its_run, rebalance = run(), recorded()
    change(its_run)
    change(rebalance)
    found = faults(its_run, rebalance)
    assert any(words in fault for fault in found), found


def test_a_lower_bound_above_the_objective_is_a_fault() -> None:
    rebalance = recorded()
    certificate = rebalance.certificate
    above = EXACT.add(certificate.objective, D(1))
    rebalance.certificate = structs.replace(certificate, lower_bound=above, gap=D(-1))
    assert any("gap" in fault for fault in faults(run(), rebalance))


def test_the_nearest_may_leave_the_bands_it_names_and_no_others() -> None:
    told = Options(on_infeasible=OnInfeasible.NEAREST)
    asked = problem(told)
    quantities = ("500", "900", "142", "0")
    breaches = tuple(check(asked, tuple(map(D, quantities))))
    assert [str(breach.rule) for breach in breaches] == ["below-band"]
    by = breaches[0].by
    nearest = {"status": Proof.NEAREST, "breaches": breaches, "objective": by, "lower_bound": by}
    assert faults(run(told), recorded(told, quantities=quantities, **nearest)) == []
    assert faults(run(told), recorded(told, quantities=quantities, **nearest | {"breaches": ()})) != []
    assert faults(run(told), recorded(told, quantities=("500.5", "900", "142", "0"), **nearest)) != []
    assert faults(run(told), recorded(told, quantities=("1500", "900", "142", "0"), **nearest)) != []
