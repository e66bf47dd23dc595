"""The sample trading desk: its arithmetic, and what it tells the application and the trade service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from samples.demo.market import Chance
from samples.trade_service.exact import dumps
from samples.trade_service.server import TradeService, trade_service
from samples.trading_desk.__main__ import main
from samples.trading_desk.asking import DeskError
from samples.trading_desk.desk import Done, fill
from samples.trading_desk.trading import Order, Trading, split
from tests.samples.asked import ask, asking
from tests.samples.fake_application import FakeApplication, fake_application

NOW = datetime(2026, 11, 2, 9, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=-5)))
FIRST = 9_000_000_001
KNOWN, UNKNOWN = "a1" * 12, "b2c3d4e5" * 3

SELL = f'{{"order_id": "r-1", "transaction_type": "SELL", "security_id": "{KNOWN}", "quantity": 10.5, "price": 57.12}}'
BUY = (
    f'{{"order_id": "r-2", "transaction_type": "BUY", "security_id": "{UNKNOWN}", "quantity": 1200,'
    ' "price": 0.00000003, "filled": 200, "open": 1000}'
)
FILLED = (
    f'{{"order_id": "r-3", "transaction_type": "BUY", "security_id": "{KNOWN}", "quantity": 4, "price": 5, "open": 0}}'
)


@pytest.fixture
def app() -> Iterator[FakeApplication]:
    with fake_application() as running:
        running.orders = ",".join((SELL, BUY, FILLED))
        running.tickers[KNOWN] = "AAPL"
        yield running


@pytest.fixture
def service() -> Iterator[TradeService]:
    with trade_service() as running:
        yield running


def many(count: int) -> str:
    """Return so many orders of 1, 2, 3 ... shares."""
    orders = (
        f'{{"order_id": "r-{number}", "transaction_type": "BUY", "security_id": "{KNOWN}", "quantity": {number},'
        f' "price": 10.01, "open": {number}}}'
        for number in range(1, count + 1)
    )
    return ",".join(orders)


def filled(app: FakeApplication, service: TradeService | None, **how: Any) -> Done:
    url = None if service is None else service.url
    return fill(app.url, url, "r 1", first_id=FIRST, now=NOW, **how)


# --- arithmetic ---

_HALF = Fraction("0.000000005")
"""Half of the last place of a price."""
_QUANTITIES = st.decimals("0.00000001", "99999999.99999999", places=8)


@settings(deadline=None)
@given(_QUANTITIES, st.integers(1, 12), st.text(max_size=3))
def test_the_parts_of_a_quantity_are_whole_shares_and_make_it_up(quantity: Decimal, parts: int, seed: str) -> None:
    result = split(quantity, parts, Chance(seed))
    assert sum(result) == quantity
    assert min(result) > 0
    assert all(part == int(part) for part in result[:-1])
    assert len(result) == min(parts, ceil(quantity))


@settings(deadline=None)
@example(Decimal("99999999.99999999"), Decimal("12345678.12345679"), Decimal("0"), 1)
@given(_QUANTITIES, _QUANTITIES, st.decimals("0", "0.99", places=4), st.integers(1, 4))
def test_prices_move_by_no_more_than_the_slippage_and_amounts_are_exact(
    quantity: Decimal, price: Decimal, slippage: Decimal, parts: int
) -> None:
    order = Order("r-1", "BUY", KNOWN, quantity, price)
    fills, left = Trading(parts=parts, slippage=slippage).trade([order], FIRST)
    assert left == []
    for each in fills:
        assert abs(Fraction(each.price) - Fraction(price)) <= Fraction(price) * Fraction(slippage) + _HALF
        assert each.price > 0
        assert -int(each.price.as_tuple().exponent) <= 8
        assert Fraction(each.amount) == Fraction(each.quantity) * Fraction(each.price)


def test_prices_do_move_both_ways_and_not_without_slippage() -> None:
    orders = [Order(f"r-{number}", "BUY", KNOWN, Decimal(5), Decimal(100)) for number in range(50)]
    moved = [each.price for each in Trading(slippage=Decimal("0.01")).trade(orders, 1)[0]]
    assert min(moved) < 100 < max(moved)
    assert {each.price for each in Trading().trade(orders, 1)[0]} == {100}
    least = [order._replace(price=Decimal("0.00000001")) for order in orders]
    assert min(each.price for each in Trading(slippage=Decimal("0.99")).trade(least, 1)[0]) > 0


def test_a_seed_always_trades_alike_and_another_one_otherwise() -> None:
    orders = [Order(f"r-{number}", "BUY", KNOWN, Decimal(500), Decimal(100)) for number in range(20)]

    def traded(seed: str) -> Any:
        return Trading(parts=3, slippage=Decimal("0.01"), leave=5, seed=seed).trade(orders, FIRST)

    fills, left = traded("one")
    assert traded("one") == (fills, left)
    assert traded("two")[1] != left
    one, two = (Trading(parts=3, seed=seed).trade(orders, FIRST)[0] for seed in ("one", "two"))
    assert [each.quantity for each in one] != [each.quantity for each in two]
    assert [each.service_id for each in fills] == list(range(FIRST, FIRST + 45))
    assert len(left) == 5
    assert {each.order for each in fills} | set(left) == set(orders)


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ({"parts": 0}, "parts is 0"),
        ({"slippage": Decimal(1)}, "slippage is 1"),
        ({"slippage": Decimal("-0.1")}, "slippage is -0.1"),
        ({"leave": -1}, "leave is -1"),
    ],
)
def test_what_cannot_be_traded_is_a_sentence(how: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=re.escape(wrong)):
        Trading(**how)


# --- what it tells ---


def test_executions_are_rows_of_seed_001_with_exact_figures(app: FakeApplication, service: TradeService) -> None:
    done = filled(app, service)
    moment = "2026-11-02T14:30:00.250000Z"
    same = {"isOpen": False, "executionStatus": "FILLED", "destination": "DESK", "limitPrice": None}
    same |= {"receivedTimestamp": moment, "sentTimestamp": moment, "lastFillTimestamp": moment}
    sell = {"executionServiceId": FIRST, "tradeType": "SELL", "securityId": KNOWN, "ticker": "AAPL"}
    buy = {"executionServiceId": FIRST + 1, "tradeType": "BUY", "securityId": UNKNOWN, "ticker": "B2C3D4"}
    first, second = app.rows
    figures = {"quantity": Decimal("10.5"), "quantityFilled": Decimal("10.5"), "averagePrice": Decimal("57.12")}
    assert first == same | sell | figures | {"totalAmount": Decimal("599.76")}
    figures = {"quantity": Decimal(1000), "quantityFilled": Decimal(1000), "averagePrice": Decimal("0.00000003")}
    assert second == same | buy | figures | {"totalAmount": Decimal("0.00003")}
    assert b'"averagePrice":0.00000003' in dumps(second)
    assert [each.execution_id for each in done.reported] == [FIRST + 5000, FIRST + 5001]
    assert (done.portfolio_id, done.counted("created"), done.position) == ("p-1", 2, 101)


def test_the_trade_service_knows_whose_they_are_before_the_application_asks(
    app: FakeApplication, service: TradeService
) -> None:
    filled(app, service)
    with asking(service.url) as client:
        orders = [ask(client, FIRST + number).json()["executions"][0]["tradeOrder"] for number in (0, 1)]
    assert [order["orderId"] for order in orders] == ["r-1", "r-2"]
    assert [order["portfolio"]["portfolioId"] for order in orders] == ["p-1", "p-1"]


def test_nothing_is_reported_of_what_the_trade_service_does_not_know(app: FakeApplication) -> None:
    with trade_service() as gone:
        pass
    with pytest.raises(DeskError, match=r"trade service: POST /api/v2/executions was not answered"):
        filled(app, gone)
    assert app.requests == []


def test_without_a_trade_service_rows_name_portfolio_and_order(app: FakeApplication) -> None:
    filled(app, None)
    assert [(row["portfolioId"], row["orderId"]) for row in app.rows] == [("p-1", "r-1"), ("p-1", "r-2")]


def test_parts_are_executions_of_their_own_that_make_up_the_order(app: FakeApplication, service: TradeService) -> None:
    app.orders = many(80)
    done = filled(app, service, trading=Trading(parts=3, slippage=Decimal("0.01")))
    assert [len(request) for request in app.requests] == [100, 100, 37]
    assert [row["executionServiceId"] for row in app.rows] == list(range(FIRST, FIRST + 237))
    sums: dict[str, Decimal] = {}
    for each, row in zip(done.reported, app.rows, strict=True):
        assert row["totalAmount"] == row["quantity"] * row["averagePrice"]
        name = each.fill.order.order_id
        sums[name] = sums.get(name, Decimal(0)) + row["quantity"]
    assert sums == {f"r-{number}": number for number in range(1, 81)}
    assert done.position == 103


def test_what_is_left_is_not_reported(app: FakeApplication, service: TradeService) -> None:
    app.orders = many(5)
    done = filled(app, service, trading=Trading(leave=2))
    assert len(done.left) == 2
    assert {row["quantity"] for row in app.rows} == {1, 2, 3, 4, 5} - {order.quantity for order in done.left}
    assert filled(app, service, trading=Trading(leave=9)).reported == []
    assert len(app.requests) == 1


def test_what_the_application_does_not_take_is_told(app: FakeApplication, service: TradeService) -> None:
    app.refused = {FIRST}
    done = filled(app, service)
    assert [(each.status, each.error, each.execution_id) for each in done.reported] == [
        ("error", "no portfolio", None),
        ("created", "", FIRST + 5001),
    ]
    app.refused = {FIRST, FIRST + 1}
    assert filled(app, service).counted("error") == 2


def test_requests_say_who_asks_and_how_new_the_orders_are_to_be(app: FakeApplication, service: TradeService) -> None:
    done = filled(app, service, at_least=500, headers={"Authorization": "Bearer key"})
    assert done.position == 500
    assert app.headers[0]["X-Min-Position"] == "500"
    assert {(headers["X-User"], headers["Authorization"]) for headers in app.headers} == {("desk", "Bearer key")}


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ((400, b'{"message": "invalid request body", "status": 400, "details": "no"}'), "400: .*invalid request body"),
        ((503, b'{"message": "store-unavailable", "details": "no log"}'), "503: store-unavailable no log"),
        ((201, b"<html>"), "201 with no JSON"),
        ((201, b'{"results": []}'), f"execution {FIRST} was reported and not answered"),
    ],
)
def test_answers_that_are_none_end_it_with_a_sentence(
    app: FakeApplication, service: TradeService, told: tuple[int, bytes], wrong: str
) -> None:
    app.told = told
    with pytest.raises(DeskError, match=wrong):
        filled(app, service)


def test_orders_that_are_not_there_or_odd_end_it_with_a_sentence(app: FakeApplication, service: TradeService) -> None:
    with pytest.raises(DeskError, match=r"GET /api/v1/rebalances/r-9/orders was answered 404: nothing at"):
        fill(app.url, service.url, "r-9", first_id=FIRST, now=NOW)
    app.orders = '{"order_id": "r-1"}'
    with pytest.raises(DeskError, match=r"the orders are not what is expected: KeyError\('transaction_type'\)"):
        filled(app, service)


# --- as a command ---


def test_the_command_prints_what_it_did(
    app: FakeApplication, service: TradeService, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--application", app.url, "--trade-service", service.url, "--rebalance", "r 1", "--first-id", "41"]
    main(asked)
    said = capsys.readouterr().out
    assert re.search(r"r-1 .*SELL .*AAPL .*10\.5 .*57\.12 .*599\.76 .*41 .*created 5041", said)
    assert "2 executions: 2 created, 0 skipped, 0 with errors; 0 orders left open." in said
    app.refused = {42}
    with pytest.raises(SystemExit, match="1"):
        main([*asked, "--leave", "0", "--parts", "1"])
    assert "error: no portfolio" in capsys.readouterr().out


def test_the_command_numbers_by_the_clock_and_says_what_is_wrong(app: FakeApplication, service: TradeService) -> None:
    asked = ["--application", app.url, "--trade-service", service.url, "--rebalance"]
    before = datetime.now(UTC)
    main([*asked, "r 1"])
    assert app.rows[0]["executionServiceId"] >= int(before.timestamp() * 1000)
    with pytest.raises(SystemExit, match=r"trading desk: application: GET .* was answered 404"):
        main([*asked, "r-9"])
    with pytest.raises(SystemExit, match=r"trading desk: parts is 0"):
        main([*asked, "r 1", "--parts", "0"])
