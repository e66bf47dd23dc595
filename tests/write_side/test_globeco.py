"""Holdings, prices and tickers from the GlobeCo services, over a real HTTP server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from tests.servers.globeco import Globeco, globeco
from write_side.adapters.globeco import GlobecoHoldings, GlobecoPrices, GlobecoTickers
from write_side.adapters.service import Limits, Service, ServiceUnavailable
from write_side.ports import Held

TECH, BOND = "TECH123456789012345678AB", "BOND123456789012345678AB"


@dataclass
class Place:
    services: Globeco
    holdings: GlobecoHoldings
    tickers: GlobecoTickers
    prices: GlobecoPrices


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with globeco() as services:
        service = Service.at("GlobeCo", services.url, Limits(timeout=60, retries=1, delay=0.001, at_once=5))
        tickers = GlobecoTickers(service)
        yield Place(services, GlobecoHoldings(service), tickers, GlobecoPrices(service, tickers))
        await service.close()


async def test_holdings_are_exact_and_those_that_exist(place: Place) -> None:
    place.services.holds("P-1", "-10.505", **{TECH: "12.5", BOND: -3})
    place.services.holds("P-2", 7)
    found = await place.holdings.of(["P-1", "P-2", "P-3"])
    assert found == {
        "P-1": Held("P-1", "P-1", Decimal("-10.505"), {TECH: Decimal("12.5"), BOND: Decimal(-3)}),
        "P-2": Held("P-2", "P-2", Decimal(7), {}),
    }


async def test_no_balance_is_no_cash(place: Place) -> None:
    place.services.holds("P-1", None)
    place.services.known["/api/v1/portfolios/P-1/summary"]["name"] = "Growth"
    assert (await place.holdings.of(["P-1"]))["P-1"] == Held("P-1", "Growth", Decimal(0), {})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cashBalance": "much"}, "cashBalance is 'much', not a number"),
        ({"securities": {}}, None),
        ({"securities": {"a": 1}}, "securities is not a list"),
        ({"securities": [{"securityId": TECH}]}, r"securities\[0\] has no securityId and netQuantity"),
        ({"securities": ["x"]}, r"securities\[0\] has no securityId"),
        ({"securities": [{"securityId": TECH, "netQuantity": 1}] * 2}, "for the second time"),
    ],
)
async def test_holdings_that_cannot_be_read_are_told_not_guessed(
    place: Place, changes: dict[str, object], told: str | None
) -> None:
    place.services.holds("P-1", 1)
    place.services.known["/api/v1/portfolios/P-1/summary"] |= changes
    if told is None:
        assert (await place.holdings.of(["P-1"]))["P-1"] == Held("P-1", "P-1", Decimal(1), {})
        return
    error = (await place.holdings.of(["P-1"]))["P-1"]
    assert isinstance(error, ServiceUnavailable)
    assert re.search(told, str(error))


async def test_one_portfolio_that_cannot_be_read_leaves_the_others_alone(place: Place) -> None:
    for number in range(30):
        place.services.holds(f"P-{number}", number)
    place.services.known["/api/v1/portfolios/P-7/summary"] = []
    found = await place.holdings.of([f"P-{number}" for number in range(30)])
    assert len(found) == 30
    assert [name for name, held in found.items() if not isinstance(held, Held)] == ["P-7"]


async def test_a_service_that_is_down_ends_the_question(place: Place) -> None:
    place.services.holds("P-1", 1)
    place.services.answers.extend([(500, {})] * 4)
    with pytest.raises(ServiceUnavailable, match="answered 500"):
        await place.holdings.of(["P-1", "P-2"])


async def test_prices_go_by_ticker(place: Place) -> None:
    place.services.lists(TECH, "TECH", "149.99")
    place.services.lists(BOND, "BRK B", 100.123456789012)
    priced = await place.prices.of([TECH, BOND, "UNKNOWN45678901234567890"])
    assert priced.position == 0
    assert priced.prices == {TECH: Decimal("149.99"), BOND: Decimal("100.123456789012")}
    assert "/api/v1/price/BRK%20B" in place.services.asked


async def test_a_close_that_is_not_positive_is_no_price(place: Place) -> None:
    place.services.lists(TECH, "TECH", 0)
    assert (await place.prices.of([TECH])).prices == {}


async def test_tickers_are_asked_for_once(place: Place) -> None:
    place.services.lists(TECH, "TECH", 1)
    for _ in range(3):
        assert await place.tickers.of([TECH]) == {TECH: "TECH"}
    assert place.services.asked == [f"/api/v1/security/{TECH}"]


@pytest.mark.parametrize("answer", [{}, [], {"ticker": 7}, {"ticker": ""}, {"ticker": "\ud800"}])
async def test_an_answer_without_ticker_is_told_and_leaves_the_others_alone(place: Place, answer: object) -> None:
    place.services.lists(BOND, "BOND", 100)
    place.services.known[f"/api/v1/security/{TECH}"] = answer
    with capture_logs() as lines:
        assert await place.tickers.of([TECH, BOND]) == {BOND: "BOND"}
    (line,) = lines
    assert (line["log_level"], line["names"]) == ("warning", [TECH])
    assert "has no ticker" in line["error"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {"close": None}), "has no close"),
        ((200, {"close": "dear"}), "has no close"),
        ((200, []), "has no close"),
        ((200, b'{"close": NaN}'), "NaN is not a number"),
        ((400, {}), "answered 400"),
        ((422, {}), "answered 422"),
    ],
)
async def test_an_odd_price_is_told_and_leaves_the_others_alone(
    place: Place, answer: tuple[int, object], told: str
) -> None:
    place.services.lists(TECH, "A", 1)
    place.services.lists(BOND, "B", 100)
    await place.tickers.of([TECH, BOND])
    place.services.answers.append(answer)  # whichever is asked for first
    with capture_logs() as lines:
        prices = (await place.prices.of([TECH, BOND])).prices
    odd = ({TECH, BOND} - prices.keys()).pop()
    assert len(prices) == 1
    (line,) = lines
    assert (line["count"], line["names"]) == (1, [{TECH: "A", BOND: "B"}[odd]])
    assert told in line["error"]


@pytest.mark.parametrize("answer", [(500, {}), (401, {}), (403, {}), (429, {}), (405, {}), (200, b"<html>"), (302, {})])
async def test_what_is_not_about_one_key_ends_the_question(place: Place, answer: tuple[int, object]) -> None:
    place.services.lists(TECH, "TECH", 1)
    place.services.lists(BOND, "BOND", 1)
    await place.tickers.of([TECH, BOND])
    place.services.answers.extend([answer] * 4)
    with pytest.raises(ServiceUnavailable):
        await place.prices.of([TECH, BOND])


async def test_a_portfolio_that_is_refused_leaves_the_others_alone(place: Place) -> None:
    for name in ("P-1", "P-2"):
        place.services.holds(name, 1)
    place.services.answers.append((400, {}))
    found = await place.holdings.of(["P-1", "P-2"])
    assert sorted(isinstance(each, Held) for each in found.values()) == [False, True]


async def test_so_many_questions_at_once_and_no_more(place: Place) -> None:
    for number in range(60):
        place.services.holds(f"P-{number}", number)
    assert len(await place.holdings.of([f"P-{number}" for number in range(60)])) == 60
    assert place.services.most_at_once <= 5
