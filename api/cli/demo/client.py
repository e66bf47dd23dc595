"""A small HTTP client: one kept connection a thread, repeated where that is safe, numbers as decimals."""

from __future__ import annotations

import http.client
import json
import threading
import time
from decimal import Decimal
from typing import Any, NamedTuple

from api.cli.failing import Failed

PATIENCE = 60.0
"""Seconds for which a server that is not there, or not ready, is asked again."""
_AGAIN = frozenset({"idempotency-key-in-flight", "batch-in-progress"})


class Stopped(Exception):
    """The program ends; nothing more is asked."""


class Refused(Failed):
    """The server does not do what it was asked for."""


class Request(NamedTuple):
    """One command: under its key it happens once, however often it is sent; a preview needs none.

    ``events`` is how many events it is.
    """

    method: str
    path: str
    body: bytes
    key: str
    events: int


class Answer(NamedTuple):
    """What a command was answered: the log position, whether it had been done before, and the body."""

    position: int
    replayed: bool
    body: bytes = b""

    @property
    def told(self) -> Any:
        """The body, its numbers as ``Decimal``."""
        return json.loads(self.body, parse_float=Decimal, parse_int=Decimal)


class Client:
    """Asks one server; every thread has a connection of its own."""

    def __init__(self, host: str, port: int, stopping: threading.Event) -> None:
        self._host, self._port = host, port
        self.stopping = stopping
        self._own = threading.local()

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    def wait_until_ready(self) -> None:
        """Return once the server says that it is ready; raises ``Failed`` when it takes too long."""
        self._ask("GET", "/readyz", b"", {})

    def send(self, request: Request, *, at_least: int = 0) -> Answer:
        """Return the answer to a command, one that has seen this log position; raises ``Refused``, ``Failed``."""
        headers = {"Content-Type": "application/json", "X-User": "demo"}
        if at_least:
            headers["X-Min-Position"] = str(at_least)
        if request.key:
            headers["Idempotency-Key"] = request.key
        answer, body = self._ask(request.method, request.path, request.body, headers)
        replayed = answer.headers.get("Idempotency-Replayed") == "true"
        return Answer(int(answer.headers["X-Position"]), replayed, body)

    def get(self, path: str, at_least: int) -> Any:
        """Return what is at a path, as new as this log position, its numbers as ``Decimal``; raises ``Failed``."""
        _, body = self._ask("GET", path, b"", {"X-Min-Position": str(at_least), "Prefer": "wait=10"})
        return json.loads(body, parse_float=Decimal, parse_int=Decimal)

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Return the answer and its body; what is about the moment (503, no connection) is asked again, for a while."""
        pause, deadline = 0.02, time.monotonic() + PATIENCE
        while not self.stopping.is_set():
            try:
                answer, text = self._once(method, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                wrong = str(error) or type(error).__name__
            else:
                if answer.status < 300:
                    return answer, text
                problem = problem_of(text)
                wrong = str(problem.get("detail", f"answered {answer.status}"))
                if answer.status != 503 and problem.get("code") not in _AGAIN:
                    raise Refused(_refused(method, path, problem.get("code"), wrong))
            if time.monotonic() > deadline:
                raise Failed(f"{method} {path} was not answered for {PATIENCE:.0f} seconds: {wrong}")
            self.stopping.wait(pause)
            pause = min(pause * 1.5, 1.0)
        raise Stopped

    def _once(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer, answer.read()

    def _drop(self) -> None:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()


def problem_of(text: bytes) -> dict[str, Any]:
    """Return what is told of a problem, ``code`` and ``detail``, also where it wears the body of seed 001."""
    try:
        problem = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(problem, dict):
        return {}
    if "message" in problem:
        return {"detail": problem["message"], **(problem.get("details") or {})}
    faults = [result["error"] for result in problem.get("results", ()) if result.get("error")]
    return {"detail": faults[0]} if faults else problem


def _refused(method: str, path: str, code: object, detail: str) -> str:
    if code in {"idempotency-key-reused", "already-exists"}:
        return (
            f"{method} {path} was refused ({detail}): the data folder holds other data than samples/demo has now; "
            "choose another --data-dir, or delete that folder"
        )
    return f"{method} {path} was refused: {detail}"
