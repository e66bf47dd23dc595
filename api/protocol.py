"""The HTTP protocol of the server, with our own answer to what is not HTTP at all."""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.problems import MEDIA_TYPE, Problem

_MALFORMED: Final = Problem(code="bad-request", detail="this is not an HTTP/1.1 request that can be read")


class Protocol(HttpToolsProtocol):
    """Uvicorn's, but a request that cannot be parsed is answered with problem details like every other."""

    def send_400_response(self, msg: str) -> None:
        """Answer 400 and close; ``msg`` is uvicorn's sentence, which says less."""
        body = _MALFORMED.body("")
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            "x-content-type-options: nosniff\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
