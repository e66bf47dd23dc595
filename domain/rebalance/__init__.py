"""Rebalances (seed 002): the exact problem and its judge, options, outcomes, and the streams that keep them."""

from __future__ import annotations

from domain.rebalance.aggregate import Rebalance, RebalanceRun, problem_of, rebalance_id_of
from domain.rebalance.checking import check, deviation, may_stay, objective, traded_value
from domain.rebalance.events import (
    Failure,
    RebalanceDeleted,
    RebalanceRecorded,
    RebalanceRunFinished,
    RebalanceRunPriced,
    RebalanceRunRequested,
)
from domain.rebalance.options import Mode, OnInfeasible, Options, wrong_options
from domain.rebalance.outcome import (
    Answer,
    BoundBy,
    CannotRebalance,
    Certificate,
    Explanation,
    Fix,
    Infeasible,
    MissingPrice,
    NonPositiveMarketValue,
    Obstacle,
    Proof,
    Reason,
    ShortHolding,
)
from domain.rebalance.problem import Line, Problem
from domain.rebalance.report import Drift, Trade, drifts, faults, trades

__all__ = [
    "Answer",
    "BoundBy",
    "CannotRebalance",
    "Certificate",
    "Drift",
    "Explanation",
    "Failure",
    "Fix",
    "Infeasible",
    "Line",
    "MissingPrice",
    "Mode",
    "NonPositiveMarketValue",
    "Obstacle",
    "OnInfeasible",
    "Options",
    "Problem",
    "Proof",
    "Reason",
    "Rebalance",
    "RebalanceDeleted",
    "RebalanceRecorded",
    "RebalanceRun",
    "RebalanceRunFinished",
    "RebalanceRunPriced",
    "RebalanceRunRequested",
    "ShortHolding",
    "Trade",
    "check",
    "deviation",
    "drifts",
    "faults",
    "may_stay",
    "objective",
    "problem_of",
    "rebalance_id_of",
    "traded_value",
    "trades",
    "wrong_options",
]
