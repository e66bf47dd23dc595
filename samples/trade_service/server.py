"""The trade service over HTTP, on threads of its own: a block of a test or a whole process can be one."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from samples.trade_service.exact import dumps, loads
from samples.trade_service.service import Answer, Service, fault
from samples.trade_service.switch import Switch


class TradeService(Service):
    """A service that listens on ``url`` from its making until ``stop``."""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, anyone: str | None = None, switch: Switch | None = None
    ) -> None:
        """Listen; port 0 is a free one. Raises ``OSError`` when that cannot be."""
        super().__init__(anyone=anyone, switch=switch)
        self._server = _Server((host, port), self)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="trade service")
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    def stop(self) -> None:
        """Close every connection and the port; what is slow ends at once."""
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


@contextmanager
def trade_service(
    *executions: Mapping[str, Any], port: int = 0, anyone: str | None = None, switch: Switch | None = None
) -> Iterator[TradeService]:
    """Serve on a port of 127.0.0.1 (0: a free one) while the block runs, knowing these executions."""
    service = TradeService(port=port, anyone=anyone, switch=switch)
    try:
        service.put(*executions)
        yield service
    finally:
        service.stop()


class _Server(socketserver.ThreadingTCPServer):
    """Has a thread for each connection and knows them all, so it can close them."""

    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        self.service = service
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End all connections; their threads end with them."""
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that has left is no error
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: _Server
    body = b""

    def parse_request(self) -> bool:
        """Read the body too, so the next request begins after it."""
        if not super().parse_request():
            return False
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            self.send_error(411)
            return False
        self.body = self.rfile.read(int(length))
        return True

    def do_GET(self) -> None:
        """Tell an execution, a page of them, the switch, the calls, or that it lives."""
        target = urlsplit(self.path)
        service = self.server.service
        match target.path:
            case "/api/v2/executions":
                self._executions(parse_qs(target.query, keep_blank_values=True))
            case "/calls":
                calls = service.calls
                by_id = {str(service_id): times for service_id, times in sorted(calls.by_id.items())}
                self._tell(200, {"total": calls.total, "most_at_once": calls.most_at_once, "by_id": by_id})
            case "/switch":
                self._tell(200, service.switched.told())
            case "/healthz":
                self._tell(200, {"status": "ok"})
            case _:
                self._unknown()

    def do_POST(self) -> None:
        """Take executions or a switch."""
        try:
            match urlsplit(self.path).path:
                case "/api/v2/executions":
                    told = loads(self.body)
                    kept = self.server.service.keep(told if isinstance(told, list) else [told])
                    self._tell(201, {"kept": kept})
                case "/switch":
                    self.server.service.switch_to(Switch.of(loads(self.body)))
                    self._tell(200, self.server.service.switched.told())
                case _:
                    self._unknown()
        except ValueError as error:
            self._tell(400, fault("Bad Request", str(error)))

    def do_DELETE(self) -> None:
        """Forget the calls."""
        if urlsplit(self.path).path != "/calls":
            self._unknown()
            return
        self.server.service.forget_calls()
        self._tell(200, {"total": 0})

    def _executions(self, asked: dict[str, list[str]]) -> None:
        try:
            wanted = {name: int(values[-1]) for name, values in asked.items()}
            service_id, limit, offset = (wanted.get(name) for name in ("executionServiceId", "limit", "offset"))
            if service_id is not None:
                self._answer(self.server.service.look_up(service_id))
                return
            limit, offset = 50 if limit is None else limit, offset or 0
            if not 1 <= limit <= 1000 or offset < 0:
                raise ValueError("limit is from 1 to 1000, offset 0 or more")
        except ValueError as error:
            self._tell(400, fault("Bad Request", str(error)))
            return
        self._tell(200, self.server.service.listed(limit, offset))

    def _unknown(self) -> None:
        self._tell(404, fault("Not Found", f"there is no {self.command} {self.path}"))

    def _tell(self, status: int, value: Any) -> None:
        self._answer(Answer(status, dumps(value)))

    def _answer(self, answer: Answer | None) -> None:
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: answer.sent])
        if answer.sent is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: /calls tells what was asked."""
