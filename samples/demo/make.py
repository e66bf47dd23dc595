"""Makes the files of the demo, the same bytes each time: ``.venv/bin/python -m samples.demo.make``."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, localcontext
from pathlib import Path

from samples.demo.managers import MANDATES
from samples.demo.mandates import MIXES
from samples.demo.market import SECURITIES, Market
from samples.demo.trading import Desk, Transaction

FOLDER = Path(__file__).parent
_CLOSE = "T20:00:00Z"


def make() -> dict[str, bytes]:
    """Return the files by name."""
    with localcontext(Context(prec=28, rounding=ROUND_HALF_EVEN)):
        return _make()


def _make() -> dict[str, bytes]:
    market = Market()
    days = [day.isoformat() for day in market.days]
    orders = {mandate.id: order for order, mandate in enumerate(MANDATES)}
    transactions = [transaction for mandate in MANDATES for transaction in Desk(mandate, market).run()]
    transactions.sort(key=lambda transaction: (transaction.timestamp, orders[transaction.portfolio_id]))
    return {
        "securities.csv": _csv(
            ("security_id", "ticker", "name", "sector"),
            ((security.id, security.ticker, security.name, security.sector) for security in SECURITIES),
        ),
        "prices.csv": _csv(
            ("as_of", "instrument_id", "price"),
            (
                (days[index] + _CLOSE, security.id, format(market.close(index, security.ticker), "f"))
                for index in range(len(days))
                for security in SECURITIES
            ),
        ),
        "portfolios.csv": _csv(
            ("portfolio_id", "portfolio_name", "cash_balance", "status", "status_on"),
            (
                (
                    mandate.id,
                    mandate.name,
                    mandate.cash,
                    mandate.status,
                    "" if mandate.status == "ACTIVE" else days[mandate.until + 1],
                )
                for mandate in MANDATES
            ),
        ),
        "transactions.csv": _csv(Transaction._fields, transactions),
        "models.json": _models(),
    }


def _models() -> bytes:
    ids = {security.ticker: security.id for security in SECURITIES}
    models = [
        {
            "name": mix.name,
            "positions": [
                {"security_id": ids[ticker], "target": target, "low_drift": mix.drift, "high_drift": mix.drift}
                for ticker, target in mix.targets.items()
            ],
            "portfolios": mix.portfolios,
        }
        for mix in MIXES
    ]
    text = re.sub(r'"([0-9.]+)"', r"\1", json.dumps(models, indent=1))  # figures with the digits they have above
    return text.encode() + b"\n"


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    for name, content in make().items():
        (FOLDER / name).write_bytes(content)
