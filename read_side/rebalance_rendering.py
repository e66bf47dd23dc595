"""Rebalances as the JSON of seed 002: ``RebalanceDTO``, ours beside its members, exact to the byte."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.rebalance import Certificate, Drift, Trade, drifts, trades
from domain.rebalance.report import RebalanceFacts, RunFacts
from domain.values import money, plain
from read_side.wire import encode, moment


class ShownRun(RunFacts, Protocol):
    """What is shown of a run; the aggregate and the view's row both have it."""

    @property
    def run_id(self) -> str: ...
    @property
    def model_id(self) -> str: ...
    @property
    def model_version(self) -> int: ...
    @property
    def trade_date(self) -> str: ...


class ShownRebalance(RebalanceFacts, Protocol):
    """What is shown of a rebalance; the aggregate and the view's row both have it."""

    @property
    def rebalance_id(self) -> str: ...
    @property
    def portfolio_id(self) -> str: ...
    @property
    def portfolio_name(self) -> str: ...
    @property
    def cash_after(self) -> Decimal: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def version(self) -> int: ...


def rebalance_json(
    run: ShownRun, rebalance: ShownRebalance, *, preview: bool = False, version: int | None = None
) -> bytes:
    """Return seed 002's ``RebalanceDTO``, its members in the seed's order, then ours.

    Money has its cents; quantities, prices and percentages are exact. What is a ``preview`` is not recorded: it has
    neither ids nor a version. ``version`` is the one to show where it is not the rebalance's own.
    """
    shown_version = "null" if preview else str(version or rebalance.version)
    rebalance_id, run_id = ("null", "null") if preview else (_text(rebalance.rebalance_id), _text(run.run_id))
    transactions = ",".join([_trade(trade, run.trade_date) for trade in trades(run, rebalance)])
    rows = ",".join([_drift(drift) for drift in drifts(run, rebalance)])
    return (
        f'{{"portfolio_id":{_text(rebalance.portfolio_id)},"portfolio_name":{_text(rebalance.portfolio_name)},'
        f'"rebalance_id":{rebalance_id},"market_value":{_money(rebalance.market_value)},'
        f'"cash_before":{_money(rebalance.cash_before)},"cash_after":{_money(rebalance.cash_after)},'
        f'"transactions":[{transactions}],"drifts":[{rows}],'
        f'"model_id":{_text(run.model_id)},"model_version":{run.model_version},"run_id":{run_id},'
        f'"created_at":"{moment(rebalance.created_at)}","version":{shown_version},'
        f'"certificate":{certificate_json(rebalance.certificate).decode()}}}'
    ).encode()


def certificate_json(certificate: Certificate) -> bytes:
    """Return what is known of an answer; money with its cents, how far a band is left exactly."""
    solver = "null" if certificate.solver is None else _text(certificate.solver)
    options = [name.removesuffix("_percent") for name in certificate.options]
    breaches = ",".join(
        [
            f'{{"security_id":{encode(breach.security_id).decode()},"rule":"{breach.rule}","by":{plain(breach.by)}}}'
            for breach in certificate.breaches
        ]
    )
    return (
        f'{{"status":"{certificate.status}","minimises":{_text(certificate.minimises)},'
        f'"objective":{_money(certificate.objective)},"lower_bound":{_money(certificate.lower_bound)},'
        f'"gap":{_money(certificate.gap)},"bound_by":"{certificate.bound_by}","method":{_text(certificate.method)},'
        f'"solver":{solver},"input_sha256":"{certificate.input_sha256}",'
        f'"options":{encode(options).decode()},"breaches":[{breaches}]}}'
    ).encode()


def list_json(shown: Iterable[bytes]) -> bytes:
    """Return a bare list of what is rendered already."""
    return b"[%b]" % b",".join(shown)


# Written by hand, as states are: a run over a thousand portfolios has a hundred thousand of these rows.


def _text(text: str) -> str:
    return encode(text).decode()


def _money(amount: Decimal) -> str:
    return format(money(amount), "f")


def _trade(trade: Trade, trade_date: str) -> str:
    return (
        f'{{"transaction_type":"{trade.transaction_type}","security_id":{_text(trade.security_id)},'
        f'"quantity":{plain(trade.quantity)},"price":{plain(trade.price)},"trade_date":"{trade_date}"}}'
    )


def _drift(drift: Drift) -> str:
    return (
        f'{{"security_id":{_text(drift.security_id)},"original_quantity":{plain(drift.original_quantity)},'
        f'"adjusted_quantity":{plain(drift.adjusted_quantity)},"target":{plain(drift.target)},'
        f'"low_drift":{plain(drift.low_drift)},"high_drift":{plain(drift.high_drift)},"actual":{plain(drift.actual)}}}'
    )
