"""What the stored samples of the events of rebalances hold."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from domain.investment_model import ModelPosition
from domain.rebalance import (
    BoundBy,
    Certificate,
    Explanation,
    Failure,
    Fix,
    Mode,
    Obstacle,
    OnInfeasible,
    Options,
    Proof,
    Reason,
)
from domain.rebalance.checking import Rule, Violation

TECH = "TECH123456789012345678AB"
BOND = "BOND123456789012345678AB"
SOLD = "60AABBCCDDEEFF0011223344"

REBALANCES: Final[dict[str, dict[str, Any]]] = {
    "rebalance-run.requested.v1": {
        "model_id": "5f1d7a0c2b9e4f6d8a3c1e07",
        "model_name": "Größe & Wert",
        "model_version": 3,
        "positions": (
            ModelPosition(TECH, Decimal("59.995"), Decimal("2.5"), Decimal("0.000001")),
            ModelPosition(BOND, Decimal(30), Decimal(5), Decimal(5)),
        ),
        "portfolios": ("ACC-1", "a:b_c.d"),
        "options": Options(
            mode=Mode.TO_BAND,
            min_cash_percent=Decimal("2.5"),
            sell_only=True,
            do_not_trade=(SOLD,),
            min_trade=Decimal("0.10"),
            lot_size={BOND: Decimal("0.00000001")},
            on_infeasible=OnInfeasible.NEAREST,
        ),
        "asynchronous": True,
        "request": "349acc472da8c8532eb5f24ea6bdaf8fcd298db63276b03842fa1d79b368b5d2",
        "timestamp": datetime(2025, 6, 21, 10, 0, 11, 500000, tzinfo=UTC),
    },
    "rebalance-run.priced.v1": {
        "prices": {TECH: Decimal("150.3383"), BOND: Decimal("0.00000001")},
        "source": "price book",
        "price_position": 4711,
        "trade_date": "2025-06-20",
        "timestamp": datetime(2025, 6, 21, 10, 0, 12, tzinfo=UTC),
    },
    "rebalance-run.finished.v1": {
        "failures": (
            Failure(
                portfolio_id="ACC-2",
                code="missing-price",
                detail="there is no price of AAPL",
                securities=("AAPL",),
            ),
            Failure(
                portfolio_id="a:b_c.d",
                code="no-feasible-solution",
                detail="nothing fits",
                securities=(TECH, BOND),
                explanation=Explanation(
                    securities=(
                        Obstacle(
                            security_id=TECH,
                            price=Decimal("150.3383"),
                            held=Decimal("0.5"),
                            target=Decimal(60),
                            low_drift=Decimal(0),
                            high_drift=Decimal("0.1"),
                            min_shares=Decimal(400),
                            max_shares=Decimal(399),
                            reason=Reason.BAND_NARROWER_THAN_ONE_SHARE,
                            fixes=(Fix(set={"high_drift": Decimal("0.14")}, gives_quantity=Decimal(400)),),
                        ),
                        Obstacle(
                            security_id=BOND,
                            price=Decimal("99.5"),
                            held=Decimal(1),
                            target=Decimal(30),
                            low_drift=Decimal(5),
                            high_drift=Decimal(5),
                            min_shares=Decimal(252),
                            max_shares=Decimal(351),
                            reason=Reason.OPTION,
                            option="sell_only",
                            fixes=(Fix(drop=("sell_only",), gives_quantity=Decimal(302)),),
                        ),
                    ),
                    short_by=Decimal("0.01"),
                    minimum_value=Decimal("100000.01"),
                    spendable=Decimal(100000),
                    fixes=(Fix(set={"min_cash": Decimal(0)}),),
                ),
            ),
            Failure(portfolio_id="NONE", code="not-found", detail="portfolio NONE does not exist"),
        ),
        "timestamp": datetime(2025, 6, 21, 10, 0, 13, tzinfo=UTC),
    },
    "rebalance.recorded.v1": {
        "run_id": "6f2b0c9e1d7a4b53a8c4e0f19d2b7c65",
        "model_id": "5f1d7a0c2b9e4f6d8a3c1e07",
        "portfolio_id": "ACC-1",
        "portfolio_name": "Growth – Ünïcode",
        "market_value": Decimal("100000.0000000000000001"),
        "cash_before": Decimal("-5.5"),
        "cash_after": Decimal("9966.0183000000000001"),
        "held": {TECH: Decimal("0.33333333"), SOLD: Decimal("10.5")},
        "quantities": {TECH: Decimal(399), BOND: Decimal(302), SOLD: Decimal(0)},
        "certificate": Certificate(
            status=Proof.NEAREST,
            minimises="band-breach",
            objective=Decimal("12.5000000000000001"),
            lower_bound=Decimal("12.49"),
            gap=Decimal("0.0100000000000001"),
            bound_by=BoundBy.SOLVER,
            method="mip",
            solver="HIGHS 1.11.0",
            input_sha256="de972dc0a02d5dc058d282439679ce6b8316f3e73ceb6e551eb9c5511a8b1065",
            options=("min_cash", "on_infeasible"),
            breaches=(Violation(Rule.BELOW_BAND, TECH, Decimal("12.5000000000000001")),),
        ),
        "timestamp": datetime(2025, 6, 21, 10, 0, 12, 250000, tzinfo=UTC),
    },
    "rebalance.deleted.v1": {"timestamp": datetime(2025, 6, 22, tzinfo=UTC)},
}
