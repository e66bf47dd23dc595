"""Portfolios as the JSON of seed 004: states, positions, weights and lists, exact to the byte."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeAlias

from domain.portfolio import CASH, Status
from domain.valuation import ValuedPortfolio, ValuedPosition
from domain.values import plain
from read_side.wire import encode, moment

RENDERING = 1
"""Raise it when these bytes change for equal facts: what another program has rendered before is not used then."""


class Text(NamedTuple):
    """A position as text, before and after its weight; ``start`` and ``middle`` are of the holding alone."""

    position: ValuedPosition
    before: str
    after: str
    start: str
    middle: str


Shown: TypeAlias = dict[str, Text]
"""The texts of positions, kept by who renders a portfolio again and again."""


def state_json(portfolio: ValuedPortfolio, shown: Shown | None = None) -> bytes:
    """Return seed 004's ``PortfolioState``, its members in the seed's order, then ours."""
    weights = _texts(portfolio)
    return (
        f'{{"portfolio_id":{_text(portfolio.portfolio_id)},"total_value":{portfolio.total_value!s},'
        f'"cash_balance":{portfolio.cash_balance!s},"positions":{_positions(portfolio, weights, shown)},'
        f'"weights":{_weights(weights)},"last_updated":"{moment(portfolio.last_updated)}",'
        f'"status":"{portfolio.status}","portfolio_name":{_text(portfolio.portfolio_name)},'
        f'"overdrawn":{"true" if portfolio.overdrawn else "false"}}}'
    ).encode()


def positions_json(portfolio: ValuedPortfolio, shown: Shown | None = None) -> bytes:
    """Return the positions as a bare list of seed 004's ``Position``, cash the last."""
    return _positions(portfolio, _texts(portfolio), shown).encode()


def weights_json(portfolio: ValuedPortfolio, shown: Shown | None = None) -> bytes:
    """Return the weights as a bare map by instrument, cash among them."""
    return _weights(_texts(portfolio)).encode()


class Named(Protocol):
    """What a list shows of a portfolio."""

    @property
    def portfolio_id(self) -> str: ...
    @property
    def portfolio_name(self) -> str: ...
    @property
    def status(self) -> Status: ...


def list_json(rows: Iterable[Named], cursor: str | None) -> bytes:
    """Return a page of portfolios as a list of ours: ``{"items": [...], "next": cursor or null}``."""
    items = [
        {"portfolio_id": row.portfolio_id, "portfolio_name": row.portfolio_name, "status": row.status} for row in rows
    ]
    return encode({"items": items, "next": cursor})


# Written by hand: a state of fifty positions is made thousands of times a second. Ids are letters, digits and _ . : -
# and need no escape, names do. Money and weights have so few places that str() writes them plainly.


def _text(text: str) -> str:
    return encode(text).decode()


def _texts(portfolio: ValuedPortfolio) -> dict[str, str]:
    return {name: str(weight) for name, weight in portfolio.weights.items()}


def _positions(portfolio: ValuedPortfolio, weights: dict[str, str], shown: Shown | None) -> str:
    parts: list[str] = []
    shown = {} if shown is None else shown
    for name, position in portfolio.positions.items():
        text = shown.get(name)
        if text is None or text.position is not position:
            text = shown[name] = _as_text(position, text)
        parts.append(text.before + weights[name] + text.after)
    return f"[{','.join(parts)}]"


def _as_text(position: ValuedPosition, known: Text | None) -> Text:
    if known is not None and position.holding is not None and known.position.holding is position.holding:
        start, middle = known.start, known.middle
    else:
        quantity = str(position.quantity) if position.instrument_id == CASH else plain(position.quantity)
        start = (
            f'{{"instrument_id":"{position.instrument_id}","position_type":"{position.position_type}",'
            f'"quantity":{quantity},"market_value":'
        )
        middle = f',"cost_basis":{position.cost_basis!s},"last_updated":"'
    before = f'{start}{position.market_value!s},"weight":'
    after = f',"unrealized_pnl":{position.unrealized_pnl!s}{middle}{moment(position.last_updated)}"}}'
    return Text(position, before, after, start, middle)


def _weights(weights: dict[str, str]) -> str:
    return "{" + ",".join([f'"{name}":{weight}' for name, weight in weights.items()]) + "}"
