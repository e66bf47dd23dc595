"""The file that accounting takes: its name, its header and its lines, byte for byte (contract "001")."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from domain.batch.events import Quantity
from domain.execution import ExecutionRecorded
from domain.values import eighth_place

HEADER: Final = "portfolio_id,security_id,source_id,transaction_type,quantity,price,transaction_date\n"


def file_name(batch_id: int, started: datetime) -> str:
    """Return the name of the file of this batch: the moment it was started, in UTC, and its number."""
    return f"transactions_{started.astimezone(UTC):%Y%m%d_%H%M%S}_{batch_id}.csv"


def source_id(execution_id: int) -> str:
    """Return how accounting names this execution."""
    return f"AC{execution_id}"


def line(execution_id: int, execution: ExecutionRecorded, quantity: Quantity) -> str:
    """Return the line of an execution with its end; no value needs quotes: none can have a comma in it."""
    report = execution.report
    size = report.quantity_filled if quantity is Quantity.FILLED else report.quantity
    return (
        f"{execution.portfolio_id},{report.security_id},{source_id(execution_id)},{report.trade_type},"
        f"{eighth_place(size):f},{eighth_place(report.average_price):f},{execution.trade_date:%Y%m%d}\n"
    )
