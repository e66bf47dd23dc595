"""What is read of a connection: offers of other protocols change nothing, and nothing is read without end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import FastAPI

from api.middleware import MAX_BODY
from api.protocol import MAX_HEAD
from tests.api.asking import opening
from tests.api.connecting import Echo, Line, chunked, connected, request
from tests.api.doubles import Behind

H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB")
"""What the HTTP client of Java's library sends with its first request to every server."""
WEBSOCKET = ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
NEXT = request("GET", "/next")

Pieces = Callable[[bytes], list[bytes]]


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def line(echo: Echo) -> AsyncIterator[Line]:
    async with connected(echo) as line:
        yield line


def whole(data: bytes) -> list[bytes]:
    return [data]


def after_the_head(data: bytes) -> list[bytes]:
    head, blank, body = data.partition(b"\r\n\r\n")
    return [head + blank, body] if body else [data]


def within_the_head(data: bytes) -> list[bytes]:
    return [data[:30], data[30:]]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("pieces", [whole, after_the_head, within_the_head, byte_by_byte])
@pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("form", ["length", "chunks", "none"])
async def test_a_request_that_offers_another_protocol_is_an_ordinary_one(
    echo: Echo, line: Line, form: str, offer: tuple[str, ...], pieces: Pieces
) -> None:
    sent = {
        "length": request("POST", "/one", b'{"a":1}', headers=offer),
        "chunks": chunked("POST", "/one", b'{"a"', b":1}", headers=offer),
        "none": request("GET", "/one", headers=offer),
    }[form]
    await line.send(*pieces(sent))
    answer = await line.answer()
    await line.send(NEXT)
    again = await line.answer()
    body = b"" if form == "none" else b'{"a":1}'
    method = "GET" if form == "none" else "POST"
    assert echo.heard == [(method, "/one", body), ("GET", "/next", b"")]
    assert (answer.status, answer.body) == (200, f"{method} /one {len(body)}".encode())
    assert again.body == b"GET /next 0"
    assert "upgrade" not in answer.headers


async def test_what_is_sent_behind_an_offer_is_answered_in_its_turn(echo: Echo, line: Line) -> None:
    offers = [request("POST", f"/{number}", b"x" * number, headers=H2C) for number in range(1, 6)]
    bare = request("GET", "/bare", headers=H2C)
    await line.send(NEXT + b"".join(offers) + bare + chunked("POST", "/last", b"ab", headers=WEBSOCKET) + NEXT)
    bodies = [(await line.answer()).body for _ in range(9)]
    assert bodies == [
        b"GET /next 0", *(f"POST /{number} {number}".encode() for number in range(1, 6)),
        b"GET /bare 0", b"POST /last 2", b"GET /next 0",
    ]  # fmt: skip


async def test_offers_by_the_thousand_in_one_piece_are_read(echo: Echo, line: Line) -> None:
    await line.send(request("GET", "/one", headers=["Connection: upgrade", "Upgrade: x"]) * 2000)
    assert {(await line.answer()).body for _ in range(2000)} == {b"GET /one 0"}


@pytest.mark.parametrize("pieces", [whole, after_the_head, byte_by_byte])
@pytest.mark.parametrize("sent_as", [request, chunked])
async def test_a_body_that_is_a_request_is_a_body(
    echo: Echo, line: Line, sent_as: Callable[..., bytes], pieces: Pieces
) -> None:
    inner = request("DELETE", "/inner")
    await line.send(*pieces(sent_as("POST", "/outer", inner, headers=H2C)))
    assert (await line.answer()).body == f"POST /outer {len(inner)}".encode()
    await line.send(NEXT)
    await line.answer()
    assert echo.heard == [("POST", "/outer", inner), ("GET", "/next", b"")]


async def test_who_waits_for_leave_to_send_the_body_gets_it(echo: Echo, line: Line) -> None:
    head, _, body = request("POST", "/one", b"body", headers=[*H2C, "Expect: 100-continue"]).rpartition(b"\r\n\r\n")
    await line.send(head + b"\r\n\r\n")
    assert (await line.answer()).status == 100
    await line.send(body)
    assert (await line.answer()).status == 200
    assert echo.heard == [("POST", "/one", b"body")]


async def test_an_offer_with_the_last_request_of_a_connection(echo: Echo, line: Line) -> None:
    await line.send(request("POST", "/one", b"body", headers=["Connection: close, Upgrade", "Upgrade: h2c"]))
    answer = await line.answer()
    assert (answer.body, answer.headers["connection"]) == (b"POST /one 4", "close")
    assert await line.end() == b""


async def test_the_application_sees_every_header_but_the_offer(echo: Echo, line: Line) -> None:
    await line.send(request("POST", "/one?q=%20", b"body", headers=["X-A:  b \t", *H2C, "X-Empty:", "X-N: \xe9"]))
    await line.answer()
    [headers] = echo.headers
    assert b"upgrade" not in headers
    assert headers[b"connection"] == b"Upgrade, HTTP2-Settings"
    assert headers[b"x-a"].strip() == b"b"
    assert (headers[b"x-empty"], headers[b"x-n"]) == (b"", "é".encode())


async def test_an_offer_is_nothing_to_warn_of(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await line.send(request("POST", "/one", b"body", headers=WEBSOCKET))
        await line.answer()
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(
    "data",
    [
        request("CONNECT", "inner:443") + NEXT,
        request("CONNECT", "/") + NEXT,
        request("POST", "/one", headers=[*H2C, "Transfer-Encoding: gzip"]) + NEXT,
        request("POST", "/one", b"1", headers=[*H2C, "Transfer-Encoding: chunked"]) + NEXT,
    ],
)
async def test_what_cannot_be_read_as_a_request_is_refused(echo: Echo, line: Line, data: bytes) -> None:
    await line.send(data)
    answer = await line.answer()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert json.loads(answer.body)["code"] == "bad-request"
    assert await line.end() == b""
    assert echo.heard == []


async def test_what_was_whole_is_answered_before_what_is_refused_behind_it(echo: Echo, line: Line) -> None:
    echo.gate = asyncio.Event()
    await line.send(request("POST", "/one", b"body") + request("POST", "/two", b"2") + b"nonsense\r\n", NEXT)
    echo.gate.set()
    assert [(await line.answer()).body for _ in range(2)] == [b"POST /one 4", b"POST /two 1"]
    assert await line.end() == b""
    assert [path for _, path, _ in echo.heard] == ["/one", "/two"]


async def test_a_request_broken_behind_one_in_flight_is_not_told_as_its_answer(echo: Echo, line: Line) -> None:
    echo.gate = asyncio.Event()
    broken = chunked("POST", "/two", b"2").replace(b"\r\n1\r\n", b"\r\nzz\r\n")
    await line.send(request("POST", "/one", b"body") + broken)
    assert await line.end() == b""
    echo.gate.set()
    assert "/two" not in [path for _, path, _ in echo.heard]


async def test_fields_behind_the_body_are_no_headers(echo: Echo, line: Line) -> None:
    await line.send(chunked("POST", "/one", b"a", trailers=["Authorization: Bearer x", *H2C]) + NEXT)
    assert (await line.answer()).body == b"POST /one 1"
    assert (await line.answer()).body == b"GET /next 0"
    assert [sorted(headers) for headers in echo.headers] == [[b"host", b"transfer-encoding"], [b"host"]]


@pytest.mark.parametrize("cut", [MAX_HEAD, 100, 10_000])
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (request("GET", "/" + "a" * MAX_HEAD), 414, "uri-too-long"),
        (request("GET", "/?" + "a" * MAX_HEAD, headers=H2C), 414, "uri-too-long"),
        (request("GET", "/", headers=["X-A: " + "a" * MAX_HEAD]), 431, "head-too-large"),
        (request("GET", "/", headers=["A" * MAX_HEAD + ": a"]), 431, "head-too-large"),
        (request("GET", "/", headers=["X-A: a"] * (MAX_HEAD // 7)), 431, "head-too-large"),
        (request("POST", "/", b"body", headers=[*H2C, "X-A: " + "a" * MAX_HEAD]), 431, "head-too-large"),
    ],
)
async def test_a_head_has_its_limit(echo: Echo, line: Line, data: bytes, status: int, code: str, cut: int) -> None:
    await line.send(*(data[at : at + cut] for at in range(0, len(data), cut)))
    answer = await line.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert json.loads(answer.body)["code"] == code
    assert await line.end() == b""
    assert echo.heard == []


@pytest.mark.parametrize("pieces", [whole, within_the_head])
@pytest.mark.parametrize(
    "data",
    [
        request("GET", "/" + "a" * (MAX_HEAD - 1000)),
        request("POST", "/a", b"body", headers=[*H2C, "X-A: " + "a" * (MAX_HEAD - 1000)]),
    ],
)
async def test_a_head_within_the_limit_is_read(echo: Echo, line: Line, data: bytes, pieces: Pieces) -> None:
    await line.send(*pieces(data))
    assert (await line.answer()).status == 200
    await line.send(*pieces(data))
    assert (await line.answer()).status == 200


@pytest.mark.parametrize("trailer", [["X-A: " + "a" * MAX_HEAD], ["X-A: a"] * (MAX_HEAD // 7)])
async def test_fields_behind_the_body_have_the_limit_too(echo: Echo, line: Line, trailer: list[str]) -> None:
    data = chunked("POST", "/one", b"a", trailers=trailer)
    await line.send(*(data[at : at + 20_000] for at in range(0, len(data), 20_000)))
    assert (await line.answer()).status == 431
    assert echo.heard == []


async def test_a_head_does_not_pay_for_the_body_before_it(echo: Echo, line: Line) -> None:
    body = b"x" * (4 * MAX_HEAD)
    first = request("POST", "/one", body)
    await line.send(first[:-100], first[-100:] + NEXT[:20], NEXT[20:])
    assert [(await line.answer()).body for _ in range(2)] == [f"POST /one {len(body)}".encode(), b"GET /next 0"]


async def test_a_command_with_an_offer_is_recorded_as_it_was_sent(app: FastAPI, behind: Behind) -> None:
    body = json.dumps(opening()).encode()
    async with connected(app) as line:
        await line.send(*after_the_head(request("POST", "/api/v1/portfolios", body, headers=H2C)))
        assert (await line.answer()).status == 201
    assert len(behind.log.events) == 1


@pytest.mark.parametrize("headers", [[], H2C], ids=["plain", "h2c"])
async def test_a_body_in_chunks_that_is_too_large_is_told(app: FastAPI, headers: tuple[str, ...]) -> None:
    body = chunked("POST", "/api/v1/portfolios", *[b" " * 65536] * (MAX_BODY // 65536 + 40), headers=headers)
    async with connected(app) as line:
        await line.send(body)
        answer = await line.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert json.loads(answer.body)["code"] == "body-too-large"
        assert await line.end() == b""
