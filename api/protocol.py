"""The HTTP protocol of the server: it passes over offers of another, bounds a head, and refuses with a problem."""

from __future__ import annotations

from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.problems import MEDIA_TYPE, Problem, RequestProblem

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request outside of its body: its line, its headers, and the fields behind a body in chunks."""

_MALFORMED: Final = Problem(code="bad-request", detail="this is not an HTTP/1.1 request that can be read")
_LONG_URI: Final = Problem(code="uri-too-long", detail=f"the path and query have more than {MAX_HEAD} bytes")
_LARGE_HEAD: Final = Problem(code="head-too-large", detail=f"the headers have more than {MAX_HEAD} bytes")


class Protocol(HttpToolsProtocol):
    """Uvicorn's, but stricter in what it reads and with problem details for what it refuses.

    The parser takes whatever follows a request with ``Upgrade`` for the other protocol, body and all. There is none
    here, so the request is an ordinary one (RFC 9110, section 7.8): what the parser tells of it counts for nothing, and
    a new parser reads it again without the offer.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = True
        self._told = 0  # bytes of the head that the parser has told
        self._untold = 0  # bytes read since it told of anything but a header: it keeps an unfinished one to itself
        self._deaf = False

    def data_received(self, data: bytes) -> None:
        """Read on; raises nothing."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        self._untold += len(data)
        try:
            self._read(data)
            if self._untold > MAX_HEAD:
                raise RequestProblem(_LARGE_HEAD)
        except RequestProblem as refused:
            self._refuse(refused.problem)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.problem if isinstance(cause, RequestProblem) else _MALFORMED)

    def _read(self, data: bytes) -> None:
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offered:
                head = self._head_without_offer()
                rest = rest[offered.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
                self.parser.feed_data(head)
            else:
                return

    def _head_without_offer(self) -> bytes:
        """Return the head that has been read, as it was but for ``Upgrade``; raises ``RequestProblem`` for CONNECT."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":  # what follows would be for somebody else
            raise RequestProblem(_MALFORMED)
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version.encode(), fields)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._told = self._untold = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._tell(len(url), _LONG_URI)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._tell(len(name) + len(value) + len(": \r\n"), _LARGE_HEAD)
        if self._in_head:  # a field behind the body is no header (RFC 9110, section 6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_head = False
        self._untold = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._untold = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._untold = 0
        super().on_message_complete()

    def _tell(self, size: int, beyond: Problem) -> None:
        self._told += size
        if self._told > MAX_HEAD:
            raise RequestProblem(beyond)

    def _refuse(self, problem: Problem) -> None:
        """Read no more, and answer so where the client can tell of which request that is; then close."""
        self._deaf = True
        self.logger.warning("Refused: %s", problem.detail)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._answer(problem)
        elif not cycle.more_body:  # whole, and in flight: it is answered, and then the connection ends
            cycle.keep_alive = False
        elif cycle.response_started or self.pipeline:
            self.transport.close()
        else:
            self._answer(problem)

    def _answer(self, problem: Problem) -> None:
        body = problem.body("")
        head = (
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            "x-content-type-options: nosniff\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[problem.status] + head.encode() + body)
        self.transport.close()
