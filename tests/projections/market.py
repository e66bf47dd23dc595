"""Portfolios that trade in one market: their events and uploads of prices in the order of one log, also random ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import strategies as st

from domain.base import Event, Recorded
from domain.errors import RuleViolated
from domain.portfolio import Portfolio, PositionUpdate, Status, TransactionType
from domain.values import ZERO
from projections.projector import Folding
from projections.returns import RETURNS_PROJECTOR
from read_side.rendered import Stamp
from read_side.returns import RETURNS, ReturnsRow, Track, _belonging, _track, portfolio_key
from read_side.store import Checkpoint, Rows
from tests.domain.portfolios import deposit
from tests.projections.quoting import recorded, uploaded

DAWN = datetime(2024, 12, 30, tzinfo=UTC)
LATER = DAWN + timedelta(days=100_000)
EVER = (DAWN.date().min, DAWN.date().max)
PORTFOLIOS, INSTRUMENTS = ("P", "Q", "R"), ("A", "B", "C")


def day(number: int, hour: float = 12) -> datetime:
    """Return an hour of the day with this number: day 0 is a Monday, the last but one of a year."""
    return DAWN + timedelta(days=number, hours=hour)


class Market:
    """What happens, in order; the portfolios decide by themselves."""

    def __init__(self) -> None:
        self.portfolios: dict[str, Portfolio] = {}
        self.events: list[Event] = []
        self._uploads = 0

    def open(self, portfolio_id: str, cash: str = "0", at: datetime = DAWN) -> Market:
        self.portfolios[portfolio_id] = Portfolio.open(portfolio_id, portfolio_id, Decimal(cash), at)
        return self._collected(portfolio_id)

    def update(self, portfolio_id: str, at: datetime, *updates: PositionUpdate) -> Market:
        self.portfolios[portfolio_id].update(updates, at, now=LATER)
        return self._collected(portfolio_id)

    def become(self, portfolio_id: str, at: datetime, status: Status) -> Market:
        self.portfolios[portfolio_id].change_status(status, at)
        return self._collected(portfolio_id)

    def prices(self, at: datetime, **prices: str) -> Market:
        self._uploads += 1
        self.events.append(uploaded(self._uploads, prices, at))
        return self

    def rows(self) -> dict[str, ReturnsRow]:
        """Return the rows of the view of returns, folded at once."""
        made = RETURNS_PROJECTOR.fold({}, recorded(self.events))
        return {key: row for key, row in made.items() if row is not None}

    def track(self, portfolio_id: str) -> Track:
        """Return the portfolio with all its closed days, as the queries find it."""
        return track_of(self.rows(), portfolio_id, len(self.events))

    def _collected(self, portfolio_id: str) -> Market:
        self.events += self.portfolios[portfolio_id].collect_events()
        return self


def track_of(rows: dict[str, ReturnsRow], portfolio_id: str, position: int) -> Track:
    row = rows[portfolio_key(portfolio_id)]
    keys = _belonging(portfolio_id, row, EVER) | {portfolio_key(portfolio_id)}  # type: ignore[arg-type]
    found = {key: rows[key] for key in keys if key in rows}
    track = _track(portfolio_id, Rows(found, Checkpoint(position, 1)), EVER)
    assert track is not None
    assert isinstance(track.stamp, Stamp)
    return track


def folded(events: Sequence[Recorded], size: int, *, remembers: bool) -> dict[str, bytes]:
    """Return the stored bytes of every row, made in pages of this size as a runner makes them.

    With ``remembers`` rows stay known between pages, else every page looks them up in the stored bytes.
    """
    stored: dict[str, bytes] = {}
    known: dict[str, ReturnsRow | None] = {}
    for first in range(0, len(events), size):
        page = events[first : first + size]
        if not remembers:
            known = {}
        folding = Folding(RETURNS_PROJECTOR, page)
        unknown = RETURNS_PROJECTOR.reads(page) - known.keys()
        while True:
            known.update((key, RETURNS.decode(stored[key]) if key in stored else None) for key in unknown)
            unknown = set(folding.advance(known.__getitem__))
            if not unknown:
                break
        known.update(folding.changed)
        for key, row in folding.changed.items():
            stored.pop(key, None)
            if row is not None:
                stored[key] = RETURNS.encode(row)
    return stored


def random_market(seed: int, length: int) -> Market:
    """Return a market after so many steps; one of the same seed and fewer steps is its beginning.

    Days go forward, stand still and go back; positions are closed and opened again, long and short.
    """
    random, market, today = Random(seed), Market(), 0
    for number in range(length):
        today += random.choice([0, 0, 0, 1, 1, 2, 5, 40] if number % 9 else [0, 1, 300])
        at = day(max(0, today - random.choice([0, 0, 0, 0, 0, 1, 3, 50])), random.choice([0, 6, 12, 12, 23.99]))
        portfolio_id = random.choice(PORTFOLIOS)
        if random.randrange(3) == 0:
            some = random.sample(INSTRUMENTS, random.randint(1, len(INSTRUMENTS)))
            market.prices(at, **{name: _price(random) for name in some})
        elif portfolio_id not in market.portfolios:
            market.open(portfolio_id, random.choice(["0", "1000", "123456.78"]), at)
        elif random.randrange(20) == 0:
            market.become(portfolio_id, at, Status.SUSPENDED).become(portfolio_id, at, Status.ACTIVE)
        else:
            _try(random, market, portfolio_id, at)
    return market


def _try(random: Random, market: Market, portfolio_id: str, at: datetime) -> None:
    """Ask for up to three updates at once; what is refused did not happen."""
    portfolio = market.portfolios[portfolio_id]
    asked = [_ask(random, portfolio) for _ in range(random.choice([1, 1, 2, 3]))]
    twin = portfolio.copy()
    try:
        twin.update(asked, at, now=LATER)
    except RuleViolated:
        asked = [deposit("250.5")]
    market.update(portfolio_id, at, *asked)


def _ask(random: Random, portfolio: Portfolio) -> PositionUpdate:
    kind = TransactionType(random.choice(["DEP", "WD", "FEE", "DIVIDEND", "IN", "OUT", *["BUY", "SELL"] * 3]))
    name = random.choice(INSTRUMENTS)
    held = portfolio.positions[name].quantity if name in portfolio.positions else ZERO
    if kind == "SELL" and held <= 0:
        kind = random.choice([TransactionType.SHORT, TransactionType.COVER])
    whole = abs(held) if held and random.randrange(2) else None
    of_cash = kind in ("DEP", "WD", "FEE")
    size = Decimal(random.randint(1, 30_000)).scaleb(-2) if of_cash or whole is None else whole
    price = None if of_cash else Decimal("0" if kind == "IN" and random.randrange(2) else _price(random))
    return PositionUpdate(
        transaction_type=kind, quantity_change=size, instrument_id=None if of_cash else name, price=price
    )


def _price(random: Random) -> str:
    return str(Decimal(random.randint(900, 1100)).scaleb(random.choice([-2, -2, -2, -1])))


markets = st.builds(random_market, st.integers(0, 10**9), st.integers(1, 60))
