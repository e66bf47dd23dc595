"""The trade service itself, without HTTP: what it knows, how it is switched, and how often it was asked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from samples.trade_service.book import Book, execution, page
from samples.trade_service.exact import dumps
from samples.trade_service.switch import Mode, Switch


@dataclass(frozen=True)
class Answer:
    """What is sent: a status and a body, of which only ``sent`` bytes arrive; ``None`` for no answer at all."""

    status: int
    body: bytes
    sent: int | None = None


@dataclass
class Calls:
    """How often look-ups were asked for: of each id, and how many were under way at once at most."""

    by_id: Counter[int] = field(default_factory=Counter)
    most_at_once: int = 0

    @property
    def total(self) -> int:
        """How many in all."""
        return self.by_id.total()


_REFUSALS: Final[Mapping[Mode, tuple[int, str]]] = {
    Mode.ERROR: (500, "Internal Server Error"),
    Mode.BUSY: (429, "Too Many Requests"),
    Mode.BAD_REQUEST: (400, "Bad Request"),
    Mode.NOT_FOUND: (404, "Not Found"),
}
_PORTFOLIOS: Final[Mapping[Mode, str | None]] = {
    Mode.NULL_PORTFOLIO: None,
    Mode.EMPTY_ID: "",
    Mode.BAD_ID: "no portfolio's id",
}
ODD: Final[tuple[Any, ...]] = (
    [],
    {},
    {"executions": {"tradeOrder": "none"}},
    {"executions": [None]},
    {"executions": [{"tradeOrder": {"portfolio": "none"}}]},
    {"executions": [{"tradeOrder": {"portfolio": {"portfolioId": 7}}}]},
    {"executions": [{"tradeOrder": [], "portfolioId": ["none"]}]},
    "executions",
    None,
)
"""JSON that is nothing of what is expected, each in another place."""


class Service:
    """Answers look-ups of any number of threads; what is done to it holds for every call that comes later."""

    def __init__(self, *, anyone: str | None = None, switch: Switch | None = None) -> None:
        self._book = Book(anyone)
        self._switch = switch or Switch()
        self._changed = threading.Condition()
        self._calls = Calls()
        self._since: Counter[int] = Counter()
        self._open = 0
        self.stopping = threading.Event()

    def put(self, *executions: Mapping[str, Any]) -> None:
        """Keep executions (see ``Book.put``); raises ``ValueError``."""
        self.keep(executions)

    def keep(self, executions: Iterable[object]) -> int:
        """Keep executions and return how many; raises ``ValueError``."""
        with self._changed:
            return self._book.put(executions)

    def switch(self, mode: Mode | str, **how: Any) -> None:
        """Answer in this way from now on: ``switch("slow", seconds=2)``; raises ``ValueError``."""
        self.switch_to(Switch.of({"mode": mode, **how}))

    def switch_to(self, switch: Switch) -> None:
        """Answer in this way from now on; the calls of each id are counted anew for it."""
        with self._changed:
            self._switch = switch
            self._since.clear()

    @property
    def switched(self) -> Switch:
        """How it answers now."""
        return self._switch

    @property
    def calls(self) -> Calls:
        """How often it was asked so far."""
        with self._changed:
            return Calls(self._calls.by_id.copy(), self._calls.most_at_once)

    def forget_calls(self) -> None:
        """Count from 0 again."""
        with self._changed:
            self._calls = Calls()
            self._since.clear()

    def wait_for_calls(self, total: int, *, timeout: float = 60) -> None:
        """Return once it has been asked so often, whether or not it has answered; raises ``TimeoutError``."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._calls.total >= total, timeout):
                raise TimeoutError(f"{self._calls.total} of {total} calls within {timeout:g} s")

    def listed(self, limit: int, offset: int) -> dict[str, Any]:
        """Return one page of all that it knows."""
        with self._changed:
            return self._book.page(limit, offset)

    def look_up(self, service_id: int) -> Answer | None:
        """Return the answer to the question for this ``executionServiceId``; None: close without one."""
        with self._asked(service_id) as (switch, nth, executions):
            mode = switch.at(service_id, nth)
            if mode is Mode.SLOW:
                self.stopping.wait(float(switch.seconds))
            return _answer(mode, service_id, nth, page(executions, len(executions)))

    @contextmanager
    def _asked(self, service_id: int) -> Iterator[tuple[Switch, int, list[dict[str, Any]]]]:
        """Count a call; yield the switch it meets, its number since that was set, and what is known."""
        with self._changed:
            self._calls.by_id[service_id] += 1
            self._since[service_id] += 1
            self._open += 1
            self._calls.most_at_once = max(self._calls.most_at_once, self._open)
            seen = self._switch, self._since[service_id], self._book.of(service_id)
            self._changed.notify_all()
        try:
            yield seen
        finally:
            with self._changed:
                self._open -= 1


def _answer(mode: Mode, service_id: int, nth: int, known: dict[str, Any]) -> Answer | None:
    if mode in _REFUSALS:
        status, error = _REFUSALS[mode]
        return Answer(status, dumps(fault(error, f"no answer about execution {service_id}: switched to {mode}")))
    if mode in _PORTFOLIOS:
        return Answer(200, dumps(page([execution(service_id, _PORTFOLIOS[mode])], 1)))
    match mode:
        case Mode.DEAD:
            return None
        case Mode.CUT:
            body = dumps(known)
            return Answer(200, body, sent=len(body) // 2)
        case Mode.GARBAGE:
            return Answer(200, b"<html><body>It works!</body></html>")
        case Mode.ODD:
            return Answer(200, dumps(ODD[(service_id + nth) % len(ODD)]))
        case Mode.EMPTY:
            return Answer(200, dumps(page([], 0)))
        case _:
            return Answer(200, dumps(known))


def fault(error: str, message: str) -> dict[str, str]:
    """Return the body of an error."""
    return {"error": error, "message": message}
