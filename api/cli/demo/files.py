"""The sample data as requests: what is set up first, and for each day what comes before, during and after trading."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from api.cli.demo.client import Request

FOLDER: Final = Path(__file__).parents[3] / "samples" / "demo"
MARKET_OPENS: Final = "13:30"
"""What comes earlier on a day is valued at the prices of the day before, so it has to be there before any trade is."""

Row: TypeAlias = dict[str, str]
Stage: TypeAlias = Sequence[Sequence[Request]]
"""Rows of requests: the rows may go side by side, the requests of one row go one after the other."""


class Day(NamedTuple):
    """One day of the data; its stages go one after the other."""

    date: str
    stages: Sequence[Stage]


class Plan(NamedTuple):
    """Everything to be loaded, in order; ``portfolios`` and ``securities`` are the ids, as the files have them."""

    days: Sequence[Day]
    portfolios: Sequence[str]
    securities: Sequence[str]
    until: datetime
    """The latest time in the data."""

    @property
    def events(self) -> int:
        """How many events it makes."""
        return sum(request.events for day in self.days for stage in day.stages for row in stage for request in row)


def read(folder: Path = FOLDER) -> Plan:
    """Return the plan of the files in the folder."""
    securities, portfolios = _rows(folder, "securities"), _rows(folder, "portfolios")
    prices, transactions = _rows(folder, "prices"), _rows(folder, "transactions")
    setting_up = Day("set-up", [[[_named(row)] for row in securities] + [[_opened(row)] for row in portfolios]])
    uploads = {at[:10]: _upload(at, list(rows)) for at, rows in _grouped(prices, "as_of")}
    booked: dict[str, list[Row]] = {}
    for row in transactions:
        booked.setdefault(row["timestamp"][:10], []).append(row)
    days = [
        Day(date, [*_stages(date, booked.get(date, []), portfolios), [[upload]]])
        for date, upload in sorted(uploads.items())
    ]
    return Plan(
        [setting_up, *days],
        [row["portfolio_id"] for row in portfolios],
        [row["security_id"] for row in securities],
        datetime.fromisoformat(max(row["as_of"] for row in prices)),
    )


def _stages(date: str, transactions: Iterable[Row], portfolios: Iterable[Row]) -> Iterator[Stage]:
    yield [[_status(row)] for row in portfolios if row["status_on"] == date]
    early: list[Row] = []
    late: list[Row] = []
    for row in transactions:
        (early if row["timestamp"][11:16] < MARKET_OPENS else late).append(row)
    for part in (early, late):
        updates: dict[str, list[Request]] = {}
        for (portfolio_id, at), rows in _grouped(part, "portfolio_id", "timestamp"):
            updates.setdefault(portfolio_id, []).append(_update(portfolio_id, at, list(rows)))
        yield list(updates.values())


def _rows(folder: Path, name: str) -> list[Row]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _grouped(rows: Iterable[Row], *columns: str) -> Iterator[tuple[Any, Iterator[Row]]]:
    """Yield the rows that have these columns in common: the one value or all of them, and the rows in their order."""

    def key(row: Row) -> Any:
        return row[columns[0]] if len(columns) == 1 else tuple(row[column] for column in columns)

    return groupby(sorted(rows, key=key), key)


def _request(method: str, path: str, key: str, body: Any, events: int = 1) -> Request:
    encoded = msgspec.json.encode(body) if not isinstance(body, bytes) else body
    return Request(method, path, encoded, f"demo/{key}", events)


def _named(row: Row) -> Request:
    body = {"ticker": row["ticker"], "name": row["name"]}
    return _request("PUT", f"/api/v1/securities/{row['security_id']}", f"security/{row['security_id']}", body)


def _opened(row: Row) -> Request:
    body = {
        "portfolio_id": row["portfolio_id"],
        "portfolio_name": row["portfolio_name"],
        "cash_balance": _number(row["cash_balance"]),
    }
    return _request("POST", "/api/v1/portfolios", f"open/{row['portfolio_id']}", body)


def _status(row: Row) -> Request:
    portfolio_id, status = row["portfolio_id"], row["status"]
    path = f"/api/v1/portfolio/{portfolio_id}/status"
    return _request("PUT", path, f"status/{portfolio_id}/{status}", {"status": status})


def _upload(at: str, rows: Sequence[Row]) -> Request:
    body = {"as_of": at, "prices": {row["instrument_id"]: _number(row["price"]) for row in rows}}
    return _request("POST", "/api/v1/prices", f"prices/{at}", body)


def _update(portfolio_id: str, at: str, rows: Sequence[Row]) -> Request:
    updates = []
    for row in rows:
        update: dict[str, Any] = {"transaction_type": row["transaction_type"]}
        if row["instrument_id"]:
            update["instrument_id"] = row["instrument_id"]
        update["quantity_change"] = _number(row["quantity"])
        if row["price"]:
            update["price"] = _number(row["price"])
        updates.append(update)
    path = f"/api/v1/portfolio/{portfolio_id}/update"
    return _request("POST", path, f"update/{portfolio_id}/{at}", {"timestamp": at, "updates": updates}, len(rows))


def _number(text: str) -> msgspec.Raw:
    """Return the figure as a JSON number with exactly these digits."""
    return msgspec.Raw(format(Decimal(text), "f").encode())
