"""The day on which a moment counts as traded: US Eastern Time decides (seed 001, open question 8)."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

_ZONE = "America/New_York"


def trading_day(moment: datetime) -> date:
    """Return the calendar date of the moment in New York; raises ``OverflowError`` at the ends of the calendar."""
    return moment.astimezone(ZoneInfo(_ZONE)).date()
