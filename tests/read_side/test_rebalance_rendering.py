"""Rebalances as JSON: money with its cents, everything else exact, and what a preview does not have."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from domain.investment_model import ModelPosition
from domain.rebalance import (
    Answer,
    BoundBy,
    Certificate,
    Line,
    Options,
    Problem,
    Proof,
    Rebalance,
    RebalanceRun,
)
from domain.rebalance.checking import Rule, Violation
from read_side.rebalance_rendering import certificate_json, list_json, rebalance_json

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
TECH, SOLD = "TECH123456789012345678AB", "SOLD123456789012345678AB"
CERTIFICATE = Certificate(
    status=Proof.NEAREST,
    minimises="band-breach",
    objective=Decimal("12.505"),
    lower_bound=Decimal("-0.001"),
    gap=Decimal("12.506"),
    bound_by=BoundBy.SOLVER,
    method="mip",
    solver='HIGHS "1.11"',
    input_sha256="de97",
    options=("min_cash",),
    breaches=(Violation(Rule.BELOW_BAND, TECH, Decimal("12.505")), Violation(Rule.CASH, None, Decimal("1E+2"))),
)


def made() -> tuple[RebalanceRun, Rebalance]:
    run = RebalanceRun.requested(
        "run",
        model_id="model",
        model_name="Growth",
        model_version=3,
        positions=(ModelPosition(TECH, Decimal("60.500"), Decimal("0.5"), Decimal(5)),),
        portfolios=("A",),
        options=Options(),
        at=NOW,
    )
    prices = {TECH: Decimal("0.00000001"), SOLD: Decimal("1E+1")}
    run.price(prices, source="test", price_position=7, trade_date="2025-06-20", at=NOW)
    lines = (Line(SOLD, prices[SOLD], Decimal("10.5")), Line(TECH, prices[TECH], Decimal(0), Decimal("60.500")))
    problem = Problem(Decimal("-5.005"), lines)
    answer = Answer((Decimal(0), Decimal("1E+9")), CERTIFICATE)
    return run, Rebalance.recorded(run, "A", 'Größe "1"', problem, answer, NOW)


def test_figures_are_exact_and_money_has_its_cents() -> None:
    text = rebalance_json(*made()).decode()
    assert text.startswith('{"portfolio_id":"A","portfolio_name":"Größe \\"1\\"","rebalance_id":"')
    assert '"market_value":100.00,"cash_before":-5.00,"cash_after":90.00,' in text
    assert (
        f'"transactions":[{{"transaction_type":"SELL","security_id":"{SOLD}","quantity":10.5,"price":10,'
        f'"trade_date":"2025-06-20"}},{{"transaction_type":"BUY","security_id":"{TECH}","quantity":1000000000,'
        '"price":0.00000001,"trade_date":"2025-06-20"}]'
    ) in text
    assert (
        f'{{"security_id":"{TECH}","original_quantity":0,"adjusted_quantity":1000000000,"target":60.5,"low_drift":0.5,'
        '"high_drift":5,"actual":10.0005}]'
    ) in text
    assert (
        '"model_id":"model","model_version":3,"run_id":"run","created_at":"2025-06-21T10:00:00Z","version":1,' in text
    )


def test_a_preview_has_no_ids_and_a_first_answer_its_first_version() -> None:
    run, rebalance = made()
    preview = json.loads(rebalance_json(run, rebalance, preview=True))
    assert (preview["rebalance_id"], preview["run_id"], preview["version"]) == (None, None, None)
    rebalance.delete(NOW)
    assert json.loads(rebalance_json(run, rebalance))["version"] == 2
    assert json.loads(rebalance_json(run, rebalance, version=1))["version"] == 1


def test_a_certificate_tells_what_was_left() -> None:
    assert certificate_json(CERTIFICATE).decode() == (
        '{"status":"NEAREST","minimises":"band-breach","objective":12.50,"lower_bound":0.00,"gap":12.51,'
        '"bound_by":"solver","method":"mip","solver":"HIGHS \\"1.11\\"","input_sha256":"de97","options":["min_cash"],'
        f'"breaches":[{{"security_id":"{TECH}","rule":"below-band","by":12.505}},'
        '{"security_id":null,"rule":"cash","by":100}]}'
    )


def test_a_list_is_bare() -> None:
    assert (list_json([]), list_json([b"1", b"2"])) == (b"[]", b"[1,2]")
