"""The one layer around all of HTTP: correlation id, limits on bodies, errors to answers, metrics and the access log.

It is plain ASGI and one layer, not five: it stands on the path of every request.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from os import urandom
from time import perf_counter
from typing import Final
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Answers, internal, problem_of
from api.metrics import HttpMetrics, InFlight
from api.problems import Problem
from api.received import Received, joined, keep
from api.security.admission import turned_away
from api.security.callers import key_of
from api.security.keys import Keys

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes."""
SLOW: Final = 1.0
"""Seconds."""
CLIENT_GONE: Final = 499
"""Status in metrics and log of a request whose caller left before its answer began."""

MAX_DRAIN: Final = 64 * 1024 * 1024
MAX_DRAIN_SECONDS: Final = 5.0

_CORRELATION_ID = re.compile(rb"[!-~]{1,128}\Z")
_JSON = re.compile(rb"\s*application/(?:json|[!#$&^_.+a-z0-9-]+\+json)\s*(?:;.*)?\Z", re.IGNORECASE)
_OTHER_CHARSET = re.compile(rb";\s*charset\s*=\s*(?!\"?utf-?8\"?\s*(?:;|\Z))", re.IGNORECASE)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")

_ENDING: Final = Problem(
    code="unavailable",
    detail="the process is shutting down before the request has its answer: it may have been done, or be done later",
    headers={"Retry-After": "5"},
)

log = structlog.get_logger("api.access")


class Http:
    """Wraps the application; everything that goes wrong inside is answered, nothing of it leaves the process.

    With ``log_all`` every request is logged, else those that were refused, failed or slow: what went well is in the
    metrics, and an accepted command in the event log. With ``keys`` nobody comes in without one.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        answers: Answers,
        metrics: HttpMetrics,
        in_flight: InFlight,
        log_all: bool = False,
        keys: Keys | None = None,
    ) -> None:
        self._app = app
        self._log_all = log_all
        self._keys = keys
        self._answers = answers
        self._metrics = metrics
        self._in_flight = in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        headers = joined(scope["headers"])
        given = headers.get(b"x-correlation-id")
        raw_id = given if given is not None and _CORRELATION_ID.match(given) else urandom(16).hex().encode()
        correlation_id = raw_id.decode("ascii")
        keep(scope, Received(headers, correlation_id))
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-correlation-id", raw_id), _NOSNIFF, _NO_STORE]
            await send(message)

        self._in_flight.enter()
        try:
            refused = None if self._keys is None else turned_away(self._keys, scope, headers)
            refused = refused or _misrouted(scope)
            if refused is None and scope["method"] in _WITH_BODY:
                refused, receive = _checked(headers, receive)
            if refused is None:
                await self._app(scope, receive, sending)
            else:
                if refused.status == 413 and b"expect" not in headers:
                    await _drained(receive)
                await self._answers.response(refused, scope)(scope, receive, sending)
        except ClientDisconnect:
            pass  # nobody is left to answer; it is counted and logged below
        except asyncio.CancelledError:  # the time that requests have when the process ends is over
            if status:
                raise
            await self._answers.response(_ENDING, scope)(scope, receive, sending)
        except Exception as error:
            problem = problem_of(error, scope)
            if problem is None:
                log.exception("request failed", method=scope["method"], path=scope["path"])
                problem = internal(correlation_id)
            if status:
                raise
            await self._answers.response(problem, scope)(scope, receive, sending)
        finally:
            self._in_flight.leave()
            self._tell(scope, status or CLIENT_GONE, perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        """Count the request and log it."""
        method: str = scope["method"]
        route: str = getattr(scope.get("route"), "path", "unknown")
        self._metrics.count(route, method, status, seconds)
        if status < 400 and seconds < SLOW and not self._log_all:
            return
        tell = log.info if status < 500 else log.warning
        path = quote(scope["path"], safe="/:@!$&'()*+,;=~")
        key = key_of(scope)
        who = {} if key is None else {"caller": key.name}
        tell("request", method=method, path=path, route=route, status=status, ms=round(seconds * 1000, 2), **who)


def _checked(headers: dict[bytes, bytes], receive: Receive) -> tuple[Problem | None, Receive]:
    """Return why the body is not taken, if so, and a ``receive`` that ends a body without declared length in time."""
    content_type = headers.get(b"content-type")
    if content_type is not None and (not _JSON.match(content_type) or _OTHER_CHARSET.search(content_type)):
        shown = ascii(content_type[:60].decode("latin-1"))
        return Problem(code="unsupported-media-type", detail=f"Content-Type is {shown}: send application/json"), receive
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"", b"identity"):
        shown = ascii(encoding[:60].decode("latin-1"))
        return Problem(code="unsupported-media-type", detail=f"Content-Encoding is {shown}: send it as it is"), receive
    length = headers.get(b"content-length", b"").strip().lstrip(b"0")
    if len(length) < 20 and int(length or b"0") <= MAX_BODY:
        return None, _limited(receive)
    detail = f"the body has {length[:20].decode('latin-1')} bytes, at most {MAX_BODY} are taken"
    return Problem(code="body-too-large", detail=detail, headers={"Connection": "close"}), receive


def _misrouted(scope: Scope) -> Problem | None:
    """Return the 404 for a path with an encoded slash: it is no separator, and no name of ours has one."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%" in raw and b"%2f" in raw.lower():
        return Problem(code="unknown-path", detail="there is nothing at this path: it has an encoded slash")
    return None


async def _drained(receive: Receive) -> None:
    """Read and forget what is being sent, so far and so long as is bearable: else its sender never sees the answer."""
    taken = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(MAX_DRAIN_SECONDS):
            while taken < MAX_DRAIN:
                message = await receive()
                taken += len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def _limited(receive: Receive) -> Receive:
    taken = 0

    async def counting() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            if message.get("more_body"):
                await _drained(receive)
            detail = f"the body has more than {MAX_BODY} bytes"
            raise HTTPException(413, detail, {"Connection": "close"})
        return message

    return counting
