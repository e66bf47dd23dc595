"""Another service over HTTP: what is tried again, what is not, and when it is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.servers.globeco import Globeco, globeco
from write_side.adapters.service import Limits, Service, ServiceUnavailable, decimal_of

QUICK = Limits(timeout=60, retries=2, delay=0.001, failures=100)


@pytest.fixture
async def services() -> AsyncIterator[Globeco]:
    async with globeco() as running:
        yield running


async def ask(services: Globeco, limits: Limits = QUICK, path: str = "/it") -> object:
    service = Service.at("It", services.url, limits)
    try:
        return await service.get(path)
    finally:
        await service.close()


async def test_numbers_come_without_floats(services: Globeco) -> None:
    services.answers.append((200, b'{"exact": 57.123456789012345678, "whole": 3}'))
    assert await ask(services) == {"exact": Decimal("57.123456789012345678"), "whole": Decimal(3)}


async def test_what_is_not_there_is_none(services: Globeco) -> None:
    assert await ask(services) is None
    assert len(services.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_failures_are_tried_again(services: Globeco, status: int) -> None:
    services.answers.extend([(status, {}), (status, {}), (200, {"at": "last"})])
    assert await ask(services) == {"at": "last"}
    assert len(services.asked) == 3


async def test_after_the_last_try_the_failure_is_told(services: Globeco) -> None:
    services.answers.extend([(500, {})] * 4)
    with pytest.raises(ServiceUnavailable, match="It at GET /it: answered 500"):
        await ask(services)
    assert len(services.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 302, 204])
async def test_other_answers_are_not_tried_again(services: Globeco, status: int) -> None:
    services.answers.append((status, {}))
    with pytest.raises(ServiceUnavailable, match=f"answered {status}, expected 200"):
        await ask(services)
    assert len(services.asked) == 1


@pytest.mark.parametrize("content", [b"<html>", b"", b'{"a": NaN}', b'{"a": 1e999999999}', b"\xff", b"[" * 100_000])
async def test_what_is_not_json_is_told(services: Globeco, content: bytes) -> None:
    services.answers.append((200, content))
    with pytest.raises(ServiceUnavailable, match="is not JSON"):
        await ask(services)


async def test_a_service_that_hangs_takes_no_longer_than_the_limit(services: Globeco) -> None:
    services.answers.extend([None] * 3)
    with pytest.raises(ServiceUnavailable, match=r"no answer within 0\.2 s"):
        await ask(services, Limits(timeout=0.2, retries=0))


async def test_a_service_that_is_not_there_is_told() -> None:
    async with globeco() as gone:
        pass
    with pytest.raises(ServiceUnavailable, match="ConnectError"):
        await ask(gone)


async def after_failures(services: Globeco, reset: float) -> Service:
    """Return a service that has just failed three times in a row, after which it is left alone so long."""
    service = Service.at("It", services.url, Limits(timeout=60, retries=0, delay=0.001, failures=3, reset=reset))
    services.answers.extend([(500, {})] * 3)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match="answered 500"):
            await service.get("/it")
    services.known["/it"] = {"back": True}
    return service


async def test_after_failures_in_a_row_it_is_left_alone(services: Globeco) -> None:
    service = await after_failures(services, reset=600)
    with pytest.raises(ServiceUnavailable, match="3 failures in a row"):
        await service.get("/it")
    assert len(services.asked) == 3
    await service.close()


async def test_what_was_left_alone_is_asked_again_later(services: Globeco) -> None:
    service = await after_failures(services, reset=0.05)
    while True:
        try:
            assert await service.get("/it") == {"back": True}
        except ServiceUnavailable as error:
            assert "left alone" in str(error)  # noqa: PT017
        else:
            break
    await service.close()


async def test_the_time_of_a_question_begins_when_it_is_asked(services: Globeco) -> None:
    service = Service.at("It", services.url, Limits(timeout=0.5, retries=0, failures=100, at_once=1))
    services.silent.add("/hangs")
    services.known["/it"] = {"there": True}
    hanging, *waiting = [asyncio.ensure_future(service.get(path)) for path in ("/hangs", "/it", "/it")]
    await asyncio.sleep(0)
    service.limits = replace(service.limits, timeout=60)  # of those that begin from now on
    with pytest.raises(ServiceUnavailable, match="no answer within"):
        await hanging
    assert await asyncio.gather(*waiting) == [{"there": True}] * 2
    await service.close()


async def test_calls_that_are_given_up_are_no_failures(services: Globeco) -> None:
    service = Service.at("It", services.url, Limits(timeout=60, retries=0, failures=2, reset=60))
    services.answers.extend([None] * 3)
    services.known["/it"] = {"there": True}
    given_up = [asyncio.ensure_future(service.get("/it")) for _ in range(3)]
    while len(services.asked) < 3:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0)
    for each in given_up:
        each.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    assert await service.get("/it") == {"there": True}
    await service.close()


async def test_calls_that_hang_are_failures(services: Globeco) -> None:
    service = Service.at("It", services.url, Limits(timeout=0.1, retries=0, failures=2, reset=60))
    services.answers.extend([None] * 2)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="no answer within"):
            await service.get("/it")
    with pytest.raises(ServiceUnavailable, match="left alone"):
        await service.get("/it")
    await service.close()


async def test_one_call_that_hangs_is_given_up_and_tried_again(services: Globeco) -> None:
    services.answers.append(None)
    services.known["/it"] = {"there": True}
    assert await ask(services, Limits(timeout=600, call=0.5, retries=20, delay=0.001)) == {"there": True}
    services.answers.extend([None] * 2)
    with pytest.raises(ServiceUnavailable, match=r"no answer within 0\.5 s"):
        await ask(services, Limits(timeout=60, call=0.5, retries=1, delay=0.001))


@pytest.mark.parametrize(("retried", "asked"), [(frozenset(), 1), (frozenset({409, 429}), 3)])
@pytest.mark.parametrize("status", [409, 429])
async def test_it_is_said_which_refusals_are_tried_again(
    services: Globeco, status: int, retried: frozenset[int], asked: int
) -> None:
    services.answers.extend([(status, {})] * 3)
    with pytest.raises(ServiceUnavailable, match=f"answered {status}"):
        await ask(services, Limits(timeout=60, retries=2, delay=0.001, failures=100, retried=retried))
    assert len(services.asked) == asked


async def test_what_is_missing_is_no_failure(services: Globeco) -> None:
    service = Service.at("It", services.url, Limits(timeout=60, retries=0, failures=2))
    services.answers.extend([(500, {}), (404, {}), (500, {}), (404, {}), (500, {})])
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="answered 500"):
            await service.get("/it")
        assert await service.get("/it") is None
    await service.close()


@pytest.mark.parametrize(
    ("value", "number"),
    [("10.50", "10.50"), (" 7 ", "7"), ("-3", "-3"), (Decimal("1.5"), "1.5")],
)
def test_numbers_may_be_texts(value: object, number: str) -> None:
    assert decimal_of(value) == Decimal(number)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1_0", "", "abc", "1e999", "٣", None, True, [], "1" * 61])
def test_what_is_no_number_is_none(value: object) -> None:
    assert decimal_of(value) is None
