"""The projector of the view of prices."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from domain.base import Recorded
from domain.prices import QUOTING, Price, quotes, wins
from projections.projector import Projector, Rows
from read_side.prices import PRICES, PriceRow, past_key


def keys(recorded: Recorded) -> Iterable[str]:
    """Return the keys of the latest prices with which those of the event are compared."""
    return (quote.instrument_id for quote in quotes(recorded.event))


def apply(rows: Rows[PriceRow], recorded: Recorded) -> None:
    """Let each price of the event that wins take the place of the latest one, which becomes a past one."""
    news, here = quotes(recorded.event), recorded.position
    latest = rows.all(quote.instrument_id for quote in news)
    for quote, known in zip(news, latest, strict=True):
        if not wins(quote, None if known is None else Price(known.price, known.as_of)):
            continue
        name = quote.instrument_id
        if known is not None:
            key = past_key(name, known.recorded)
            rows[key] = replace(known, key=key, position=here, state="past", listed=None)
        rows[name] = PriceRow(
            key=name,
            instrument_id=name,
            price=quote.price.price,
            as_of=quote.price.as_of,
            recorded=here,
            position=here,
            state="latest",
            listed=here,
        )


PRICE_PROJECTOR = Projector(view=PRICES, handles=QUOTING, keys=keys, apply=apply, kept=50_000)
