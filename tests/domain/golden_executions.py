"""What the stored samples of the events of executions, batches and orders hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from domain.batch import Quantity, Stage, Window
from domain.execution import Report, TradeType
from domain.order import Order

SENT = datetime(2025, 6, 18, 1, 0, 0, 999999, tzinfo=UTC)
FULL = Report(
    execution_status="FILLED",
    trade_type=TradeType.SELL,
    destination="Börse „X“",
    security_id="TECH123456789012345678AB",
    ticker="BRK.B",
    quantity=Decimal("9999999999.99999999"),
    limit_price=Decimal("0.00000001"),
    received=datetime(2025, 6, 18, 0, 59, 59, tzinfo=UTC),
    sent=SENT,
    last_fill=datetime(2025, 6, 18, 1, 0, 5, tzinfo=UTC),
    quantity_filled=Decimal(0),
    total_amount=Decimal("5712.35"),
    average_price=Decimal("57.12345679"),
    order_id="0c4ad8a3f5b35e0d9f3b7a11-12",
)
SHORT = Report(
    execution_status="PARTIAL",
    trade_type=TradeType.BUY,
    destination="NYSE",
    security_id="60AABBCCDDEEFF0011223344",
    ticker="IBM",
    quantity=Decimal(100),
    limit_price=None,
    received=datetime(2025, 6, 18, tzinfo=UTC),
    sent=datetime(2025, 6, 18, tzinfo=UTC),
    last_fill=None,
    quantity_filled=Decimal("33.5"),
    total_amount=Decimal(0),
    average_price=Decimal(1),
)


def _at(second: int) -> dict[str, Any]:
    return {"timestamp": datetime(2025, 6, 23, 10, 0, second, tzinfo=UTC)}


EXECUTIONS: Final[dict[str, dict[str, Any]]] = {
    "execution.recorded.v1": {
        "report": FULL,
        "portfolio_id": "ACC:1._-",
        "trade_date": date(2025, 6, 17),
        "order_id": "0c4ad8a3f5b35e0d9f3b7a11-12",
        **_at(1),
    },
    "execution.booked.v1": {"portfolio_version": 12, **_at(2)},
    "execution.booking-parked.v1": {"reason": "SELL of 5 ÄB: only 3 are held", **_at(3)},
    "execution.resend-requested.v1": {"execution_id": 4711, "batch_id": 17, **_at(4)},
    "failed-execution.look-up-failed.v1": {"report": SHORT, "reason": "trade service: answered 500", **_at(5)},
    "failed-execution.look-up-failed-again.v1": {"report": FULL, "reason": "no answer within 2 s", **_at(6)},
    "failed-execution.recorded.v1": _at(7),
    "batch.started.v1": {
        "windows": (Window(0, 17), Window(40, 9_007_199_254_740_993)),
        "returned": (3, 5),
        "previous_start_time": datetime(1970, 1, 1, tzinfo=UTC),
        "file_name": "transactions_20250623_100008_6.csv",
        "quantity": Quantity.FILLED,
        "by_cli": True,
        "count": 100_000,
        **_at(8),
    },
    "batch.written.v1": {"sha256": "ab" * 32, "size": 12_345_678_901, **_at(9)},
    "batch.handed-over.v1": {"attempt": 2, **_at(10)},
    "batch.failed.v1": {
        "stage": Stage.RESULT,
        "reason": "the error file cannot be read",
        "attempt": 2,
        "exit_code": None,
        "output": "2 rows\nünreadable\n",
        **_at(11),
    },
    "batch.retried.v1": _at(22),
    "batch.rejected.v1": {"rejected": {"price is 0": (7, 9), "unknown security": (8,)}, **_at(12)},
    "batch.sent.v1": {"rejected_count": 3, "exit_code": 0, "output": "done\n", **_at(13)},
    "batch.cancelled.v1": _at(14),
    "batches.begun.v1": _at(15),
    "batches.numbered.v1": {"batch_id": 6, "up_to": 9_007_199_254_740_993, **_at(16)},
    "batches.settled.v1": {"batch_id": 6, **_at(17)},
    "batches.returned.v1": {"batch_id": 5, "windows": (Window(40, 41),), **_at(18)},
    "orders.begun.v1": _at(19),
    "orders.sent.v1": {
        "rebalance_id": "0c4ad8a3f5b35e0d9f3b7a11",
        "run_id": "6f2b0c9e1d7a4b53a8c4e0f19d2b7c65",
        "orders": (
            Order(
                "0c4ad8a3f5b35e0d9f3b7a11-1",
                TradeType.SELL,
                "60AABBCCDDEEFF0011223344",
                Decimal("10.5"),
                Decimal("0.00012345"),
            ),
            Order(
                "0c4ad8a3f5b35e0d9f3b7a11-2",
                TradeType.BUY,
                "TECH123456789012345678AB",
                Decimal(399),
                Decimal("999999999999999.99999999"),
            ),
        ),
        **_at(20),
    },
    "orders.cancelled.v1": {"rebalance_id": "0c4ad8a3f5b35e0d9f3b7a11", **_at(21)},
}
