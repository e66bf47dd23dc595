"""A tiny application for the trading desk: it has orders and tickers, and takes executions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from samples.trade_service.exact import dumps, loads


@dataclass
class FakeApplication:
    """``orders`` is the JSON text of all orders of rebalance r 1; ``requests`` are the executions posted, by request.

    Executions whose id is in ``refused`` are errors. ``told`` instead of that is answered to every post of executions.
    """

    orders: str = ""
    tickers: dict[str, str] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    told: tuple[int, bytes] | None = None
    requests: list[list[dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every execution posted."""
        return [row for request in self.requests for row in request]

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of what is there."""
        if path == "/api/v1/rebalances/r%201/orders":
            return 200, f'{{"rebalance_id": "r 1", "portfolio_id": "p-1", "orders": [{self.orders}]}}'.encode()
        ticker = self.tickers.get(path.removeprefix("/api/v1/securities/"))
        if ticker is None:
            return 404, dumps({"code": "not-found", "detail": f"nothing at {path}"})
        return 200, dumps({"security_id": path[-24:], "ticker": ticker, "name": ticker})

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Take executions and return status and body."""
        rows = loads(body)
        self.requests.append(rows)
        if self.told is not None:
            return self.told
        results = [self._result(row["executionServiceId"]) for row in rows]
        wrong = sum(each["status"] == "error" for each in results)
        counts = {"processedCount": len(rows) - wrong, "skippedCount": 0, "errorCount": wrong}
        return (201 if not wrong else 400 if wrong == len(rows) else 207), dumps({**counts, "results": results})

    def _result(self, service_id: int) -> dict[str, Any]:
        if service_id in self.refused:
            return {"executionServiceId": service_id, "status": "error", "error": "no portfolio"}
        return {"executionServiceId": service_id, "status": "created", "executionId": service_id + 5000}


@contextmanager
def fake_application() -> Iterator[FakeApplication]:
    """Serve on a free port of 127.0.0.1 while the block runs."""
    application = FakeApplication()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"application": application})) as server:
        application.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield application
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    application: ClassVar[FakeApplication]

    def do_GET(self) -> None:
        self.application.headers.append(dict(self.headers))
        self._answer(*self.application.get(self.path))

    def do_POST(self) -> None:
        self.application.headers.append(dict(self.headers))
        self._answer(*self.application.post(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Position", str(100 + len(self.application.requests)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass
