"""States, positions and weights of portfolios: facts and prices put together when somebody asks (seed 004)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from domain.valuation import ValuedPortfolio
from read_side.portfolio import PORTFOLIOS, PortfolioRow, Portfolios
from read_side.price_table import PriceTable
from read_side.prices import PRICES
from read_side.rendered import NO_BUILD, Rendered, RenderedCopy, Stamp
from read_side.rendering import Shown, positions_json, state_json, weights_json
from read_side.returns import RETURNS
from read_side.signals import Signals
from read_side.valuing import Valuer

_KEPT = 128 * 1024 * 1024
"""Bytes of rendered answers that stay in memory: a state of 500 positions has 115,000."""
_BESIDE = 600
"""Bytes that an answer takes beside its own."""

_VIEWS = (PORTFOLIOS.name, PRICES.name, RETURNS.name)
_Render: TypeAlias = Callable[[ValuedPortfolio, Shown | None], bytes]
_RENDER: dict[str, _Render] = {"state": state_json, "positions": positions_json, "weights": weights_json}


class States:
    """Portfolios valued at the latest prices.

    Each query takes ``at_least``, the log position the answer must include, facts and prices alike, and ``wait``, how
    many seconds to wait for it. Raises ``NotFound``, ``NotYet``, ``StoreUnavailable``.
    """

    def __init__(
        self, portfolios: Portfolios, prices: PriceTable, signals: Signals, copy: RenderedCopy | None = None
    ) -> None:
        self._portfolios, self._prices, self._signals, self._copy = portfolios, prices, signals, copy
        self._valuer = Valuer()
        self._known: dict[tuple[str, str], Rendered] = {}
        self._bytes = 0

    async def state(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> Rendered:
        """Return seed 004's ``PortfolioState``."""
        return await self._rendered("state", portfolio_id, at_least, wait)

    async def positions(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> Rendered:
        """Return the list of seed 004's ``Position``, cash the last."""
        return await self._rendered("positions", portfolio_id, at_least, wait)

    async def weights(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> Rendered:
        """Return the weights by instrument, cash among them."""
        return await self._rendered("weights", portfolio_id, at_least, wait)

    async def stamped(self, portfolio_id: str, *, at_least: int, wait: float) -> tuple[PortfolioRow, Stamp]:
        """Return the facts of the portfolio, and what is made of them and of the latest prices is stamped with."""
        build = self._build()  # as it was before anything is read: what is made of another one is not taken for it
        row = await self._portfolios.by_id(portfolio_id, at_least=at_least, wait=wait)
        await self._prices.reach(max(at_least, row.position), wait)
        return row, Stamp(row.version, self._prices.newest(row.positions), build)

    def forget(self) -> None:
        """Forget what was rendered: the log may have been set back."""
        self._known.clear()
        self._bytes = 0

    def _build(self) -> str:
        signals = self._signals
        if signals.epoch is None:
            return NO_BUILD
        return f"{signals.epoch.hex}/{'.'.join([str(signals.checkpoint(view).generation) for view in _VIEWS])}"

    async def _rendered(self, what: str, portfolio_id: str, at_least: int, wait: float) -> Rendered:
        row, stamp = await self.stamped(portfolio_id, at_least=at_least, wait=wait)
        known = self._known.get((what, portfolio_id))
        if known is None and self._copy is not None:
            known = await self._copy.get(what, portfolio_id)
            stamp = stamp._replace(price=self._prices.newest(row.positions))
        if known is None or known.stamp != stamp:
            valued, shown = self._valuer.value(row, self._prices.book)
            known = Rendered(_RENDER[what](valued, shown), stamp)
            if self._copy is not None:
                self._copy.put(what, portfolio_id, known)
        self._keep((what, portfolio_id), known)
        return known

    def _keep(self, key: tuple[str, str], rendered: Rendered) -> None:
        before = self._known.get(key)
        if before is rendered:
            return
        self._bytes += _weight(rendered) - (_weight(before) if before is not None else 0)
        if self._bytes > _KEPT:
            self.forget()
            self._bytes = _weight(rendered)
        self._known[key] = rendered


def _weight(rendered: Rendered) -> int:
    return len(rendered.body) + _BESIDE
