"""The rows of a transaction file: read, checked, and those that are rejected with the reason."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

COLUMNS = ("portfolio_id", "security_id", "source_id", "transaction_type", "quantity", "price", "transaction_date")
_PORTFOLIO = re.compile("[A-Za-z0-9_.:-]{1,100}")
_SECURITY = re.compile("[A-Za-z0-9]{24}")
_DATE = re.compile("[0-9]{8}")


class BadFile(Exception):
    """The file is not one that can be processed at all."""


@dataclass(frozen=True)
class Checked:
    """The rows of a file, as they stand in it: those that can be booked, and those rejected with why."""

    accepted: list[list[str]]
    rejected: list[tuple[list[str], str]]


def read(path: Path) -> list[list[str]]:
    """Return the rows after the header; raises ``BadFile``."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"{path} cannot be read: {error}") from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise BadFile(f"{path} does not begin with {','.join(COLUMNS)}")
    return rows[1:]


def check(rows: list[list[str]], every: int) -> Checked:
    """Return the rows by whether they can be booked; ``every`` N-th one cannot, whatever it says (0: none)."""
    checked = Checked([], [])
    for number, row in enumerate(rows, start=1):
        reason = wrong(row) or ("rejected on request" if every and number % every == 0 else None)
        if reason is None:
            checked.accepted.append(row)
        else:
            checked.rejected.append((row, reason))
    return checked


def wrong(row: list[str]) -> str | None:
    """Return what is wrong with a row; None where nothing is."""
    if len(row) != len(COLUMNS):
        return f"has {len(row)} columns instead of {len(COLUMNS)}"
    portfolio, security, source, kind, quantity, price, date = row
    if not _PORTFOLIO.fullmatch(portfolio):
        return f"portfolio_id {portfolio!r} is none"
    if not _SECURITY.fullmatch(security):
        return f"security_id {security!r} is not 24 letters and digits"
    if not source:
        return "source_id is missing"
    if kind not in {"BUY", "SELL"}:
        return f"transaction_type {kind!r} is not BUY or SELL"
    for name, value in (("quantity", quantity), ("price", price)):
        if not _positive(value):
            return f"{name} {value!r} is not above 0"
    return None if _is_date(date) else f"transaction_date {date!r} is not YYYYMMDD"


def _positive(value: str) -> bool:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return False
    return number.is_finite() and number > 0


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return _DATE.fullmatch(value) is not None
