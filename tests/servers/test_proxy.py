"""The proxy: forwards, and fails in the ways it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.servers.proxy import Proxy, Streams, proxy_to, to_port


@asynccontextmanager
async def echo(taken: list[asyncio.StreamWriter]) -> AsyncIterator[int]:
    """Send back every line at the port that is yielded; the connections taken are put into the list."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)
        with suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(line)
                if line == b"bye\n":
                    break
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
def taken() -> list[asyncio.StreamWriter]:
    """The server's side of every connection."""
    return []


@pytest.fixture
async def proxy(taken: list[asyncio.StreamWriter]) -> AsyncIterator[Proxy]:
    async with echo(taken) as port, proxy_to(to_port(port)) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_it_forwards_both_ways_and_takes_its_time(proxy: Proxy) -> None:
    proxy.latency = 0.05
    async with connected(proxy) as (reader, writer):
        started = asyncio.get_running_loop().time()
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        assert asyncio.get_running_loop().time() - started >= 0.1
        writer.write(b"bye\n")
        assert await reader.read() == b"bye\n"


async def test_a_reply_is_lost_once(proxy: Proxy) -> None:
    proxy.lose_next_reply()
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello\n")
        assert await reader.read() == b""
    assert proxy.lost_replies == 1
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"


async def test_the_black_hole_swallows_and_its_release_cuts_who_lost_something(proxy: Proxy) -> None:
    async with connected(proxy) as (lost, to_lost), connected(proxy) as (idle, to_idle):
        for reader, writer in ((lost, to_lost), (idle, to_idle)):
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
        proxy.black_hole()
        to_lost.write(b"unheard\n")
        await proxy.until_swallowed(len(b"unheard\n"))
        async with connected(proxy) as (late, to_late):
            to_late.write(b"late\n")
            await proxy.until_swallowed(len(b"unheard\nlate\n"))
            proxy.release()
            async with asyncio.timeout(60):
                assert await lost.read() == b""
                assert await late.read() == b""
        to_idle.write(b"heard\n")
        assert await idle.readline() == b"heard\n"


async def test_a_close_is_not_heard_of_in_the_black_hole(proxy: Proxy, taken: list[asyncio.StreamWriter]) -> None:
    async with connected(proxy) as (reader, writer):
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        proxy.black_hole()
        taken[0].write(b"last words")
        taken[0].close()
        ended = asyncio.create_task(reader.read())
        await proxy.until_swallowed(len(b"last words"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not ended.done()
        proxy.release()
        assert await ended == b""


async def test_a_frozen_connection_tells_nothing_of_its_end_and_a_new_one_is_served(
    proxy: Proxy, taken: list[asyncio.StreamWriter]
) -> None:
    async with connected(proxy) as (reader, writer), connected(proxy) as (_, other):
        for each in (writer, other):
            each.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        proxy.freeze()
        for each in taken:
            each.close()
        ended = asyncio.create_task(reader.read())
        async with connected(proxy) as (new_reader, new):
            new.write(b"hello\n")
            assert await new_reader.readline() == b"hello\n"
        assert not ended.done()
        proxy.release()
        assert await ended == b""
