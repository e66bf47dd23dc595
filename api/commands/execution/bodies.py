"""The body that executions are reported in (seed 001 ``ExecutionPostDTO``): its types; its values are the domain's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StrictBool, StrictInt
from pydantic.alias_generators import to_camel

from api.bodies import Body, Circumstances, validated
from api.documented import examples
from api.numbers import Moment, Number, kind, loads
from api.problems import RequestProblem, unfit
from api.seed_001 import UNREADABLE, refuse
from domain.execution import MAX_SERVICE_ID, Reported

MAX_ROWS: Final = 100
NO_ROWS: Final = "no executions provided"
TOO_MANY: Final = f"batch size exceeds maximum of {MAX_ROWS} executions"
_MAX_INTEGER: Final = 2**63 - 1


class ExecutionPosted(Body):
    """One execution as it is reported: what is null is not said, unknown members do not matter."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    execution_service_id: Annotated[StrictInt, Field(ge=-_MAX_INTEGER, le=_MAX_INTEGER)] | None = None
    is_open: StrictBool | None = None
    execution_status: str | None = None
    trade_type: str | None = None
    destination: str | None = None
    security_id: str | None = None
    ticker: str | None = None
    portfolio_id: str | None = None
    order_id: str | None = None
    quantity: Number | None = None
    limit_price: Number | None = None
    received_timestamp: Moment | None = None
    sent_timestamp: Moment | None = None
    last_fill_timestamp: Moment | None = None
    quantity_filled: Number | None = None
    total_amount: Number | None = None
    average_price: Number | None = None

    @property
    def reported(self) -> Reported:
        """The execution as the domain takes it."""
        return Reported(
            execution_service_id=self.execution_service_id,
            is_open=bool(self.is_open),
            execution_status=self.execution_status,
            trade_type=self.trade_type,
            destination=self.destination,
            security_id=self.security_id,
            ticker=self.ticker,
            portfolio_id=self.portfolio_id,
            order_id=self.order_id,
            quantity=self.quantity,
            limit_price=self.limit_price,
            received=self.received_timestamp,
            sent=self.sent_timestamp,
            last_fill=self.last_fill_timestamp,
            quantity_filled=self.quantity_filled,
            total_amount=self.total_amount,
            average_price=self.average_price,
        )


class _Posted(Body):
    rows: list[ExecutionPosted]


def posted(body: bytes, now: datetime) -> tuple[Reported, ...]:
    """Return the executions that a body reports, 1 to 100.

    Raises ``RequestProblem``: the 400s of the contract for what is not JSON, not an array, of another type anywhere,
    and for too few or too many.
    """
    rows = loads(body)
    if not isinstance(rows, list):
        refuse(UNREADABLE, f"{kind(rows)} is not an array")
    if not rows:
        refuse(NO_ROWS)
    if len(rows) > MAX_ROWS:
        refuse(TOO_MANY, f"{len(rows)} were sent: send the rest in further requests")
    try:
        found = validated(_Posted, {"rows": rows}, Circumstances(now, {}))
    except RequestProblem as error:
        faults = [type(each)(each.place, each.name.removeprefix("/rows"), each.detail) for each in error.problem.errors]
        refuse(UNREADABLE, unfit(*faults).detail)
    return tuple(row.reported for row in found.rows)


_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 20}
_FIGURE: Final = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"}],
    "description": "Exact, from a JSON number or string; rounded half-even to 8 places, 10 digits before the point.",
}
_TIME: Final = {"type": "string", "format": "date-time"}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_ROWS,
    "items": {
        "type": "object",
        "title": "ExecutionPostDTO",
        "properties": {
            "executionServiceId": {"type": "integer", "minimum": 1, "maximum": MAX_SERVICE_ID},
            "isOpen": {"type": "boolean", "default": False, "description": "Open ones are skipped."},
            "executionStatus": _TEXT,
            "tradeType": {"type": "string", "description": "BUY or SELL."},
            "destination": _TEXT,
            "securityId": {"type": "string", "description": "24 of A-Z a-z 0-9."},
            "ticker": _TEXT,
            "portfolioId": {"type": "string", "description": "Where it is known: then the Trade Service is not asked."},
            "orderId": {"type": "string", "description": "The order it fills, where that is known."},
            "quantity": _FIGURE,
            "limitPrice": _FIGURE,
            "receivedTimestamp": _TIME,
            "sentTimestamp": _TIME,
            "lastFillTimestamp": _TIME,
            "quantityFilled": _FIGURE,
            "totalAmount": _FIGURE,
            "averagePrice": _FIGURE,
        },
    },
}
_ROW: Final[dict[str, Any]] = {
    "executionServiceId": 4711,
    "isOpen": False,
    "executionStatus": "FILLED",
    "tradeType": "BUY",
    "destination": "NYSE",
    "securityId": "TECH123456789012345678AB",
    "ticker": "TECH",
    "quantity": 100,
    "limitPrice": 57.25,
    "receivedTimestamp": "2025-06-18T13:59:58.5Z",
    "sentTimestamp": "2025-06-18T14:00:00Z",
    "lastFillTimestamp": "2025-06-18T14:00:07Z",
    "quantityFilled": 100,
    "totalAmount": 5712.345679,
    "averagePrice": 57.123456789,
}
_EXAMPLES: Final[dict[str, Any]] = {
    "one": [_ROW],
    "of_a_portfolio_that_is_known": [{**_ROW, "portfolioId": "ACC-1", "orderId": "6f2b0c9e-3"}],
    "still_open": [{**_ROW, "isOpen": True, "executionStatus": "PARTIAL", "quantityFilled": 40}],
    "invalid_without_times": [{"executionServiceId": 4712, "quantity": 0}],
}
POSTED: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _SCHEMA, "examples": examples(**_EXAMPLES)}},
    }
}
