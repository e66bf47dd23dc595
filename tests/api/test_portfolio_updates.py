"""Updates of the ten types over HTTP: what each takes, how it is refused, and that one call is all or nothing.

The answers themselves stand byte for byte in ``tests/wire/004-transactions.http``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from api.numbers import loads
from domain.portfolio import CashDeposited, PortfolioOpened, SharesBought
from tests.api.asking import is_problem, opening, pointers, pricing, trade, updating
from tests.api.doubles import Behind

STATE = "/api/v1/portfolio/ACC-1/state"
UPDATE = "/api/v1/portfolio/ACC-1/update"
TRADES = ("BUY", "SELL", "SHORT", "COVER")
OF_SHARES = (*TRADES, "IN", "OUT", "DIVIDEND")
OF_CASH = ("DEP", "WD", "FEE")
LARGEST = "999999999999999.99999999"
SIDES = "and a position does not change sides in one step"


@pytest.fixture
async def opened(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """The client, once ACC-1 holds 500 AAPL, is short 10 TSLA and has cash."""
    assert (await client.post("/api/v1/portfolios", json=opening(cash_balance=100_000))).status_code == 201
    held = updating(trade("BUY", 500, "AAPL", 147.75), trade("SHORT", 10, "TSLA", 300))
    assert (await client.post(UPDATE, json=held)).status_code == 200
    return client


@pytest.mark.parametrize(
    ("update", "places"),
    [
        *((trade(kind, 1), ["instrument_id", "price"]) for kind in OF_SHARES if kind != "OUT"),
        (trade("OUT", 1), ["instrument_id"]),
        *((trade(kind, 0, "AAPL", 1), ["quantity_change"]) for kind in OF_SHARES),
        *((trade(kind, -1), ["quantity_change"]) for kind in OF_CASH),
        *((trade(kind, 1, "CASH", 1), ["instrument_id"]) for kind in OF_SHARES),
        *((trade(kind, 1, "AAPL", "1.01"), ["instrument_id", "price"]) for kind in OF_CASH),
        *((trade(kind, 1, "A", 0), ["price"]) for kind in (*TRADES, "DIVIDEND")),
        *((trade(kind, 1, "A", "-0.01"), ["price"]) for kind in OF_SHARES),
        *((trade(kind, "1e15", "A", "1e15"), ["quantity_change", "price"]) for kind in OF_SHARES),
        *((trade(kind, "0.000000001", "A", "0.000000001"), ["quantity_change", "price"]) for kind in OF_SHARES),
        (trade("DEP", "0.00000000000000001"), ["quantity_change"]),
        (trade("WD", "1e15"), ["quantity_change"]),
        (trade("FEE", "0.000000001"), ["quantity_change"]),
        (trade("BUY", True, "a/b", "x"), ["quantity_change", "instrument_id", "price"]),
        (trade("BUY", "NaN", "a b", "1e101"), ["quantity_change", "instrument_id", "price"]),
        (trade("BUY", " 1", "x" * 25, "1_0"), ["quantity_change", "instrument_id", "price"]),
        (trade("BUY", "+1", "..", ".5"), ["quantity_change", "instrument_id", "price"]),
        (trade("buy", 1, "AAPL", 1), ["transaction_type"]),
        (trade("REINVEST", 0, "AAPL", -1), ["transaction_type", "quantity_change", "price"]),
        (trade("SELL", None, price={}) | {"instrument_id": 7}, ["quantity_change", "instrument_id", "price"]),
        (trade("BUY", 1, "AAPL", 1) | {"fee": 1, "quantity": 1}, ["fee", "quantity"]),
    ],
    ids=lambda each: " ".join(map(str, each.values() if isinstance(each, dict) else each)),
)
async def test_every_fault_of_an_update_is_told(
    opened: httpx2.AsyncClient, behind: Behind, update: dict[str, Any], places: list[str]
) -> None:
    before = len(behind.log.events)
    answer = await opened.post(UPDATE, json=updating(trade("DEP", 1), update, update))
    told = pointers(is_problem(answer, 422, "invalid-request"))
    assert told == [f"/updates/{index}/{member}" for index in (1, 2) for member in places]
    assert len(behind.log.events) == before


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"timestamp": None}, ["/timestamp"]),
        ({"timestamp": "2025-06-21T10:00:00"}, ["/timestamp"]),
        ({"timestamp": "2025-06-21"}, ["/timestamp"]),
        ({"timestamp": 1750500000}, ["/timestamp"]),
        ({"timestamp": "2025-06-21T10:06:00Z"}, ["/timestamp"]),
        ({"timestamp": "2025-06-21T12:05:00.000001+02:00"}, ["/timestamp"]),
        ({"portfolio_id": "ACC-2"}, ["/portfolio_id"]),
        ({"portfolio_id": "acc-1"}, ["/portfolio_id"]),
        ({"updates": []}, ["/updates"]),
        ({"updates": {}}, ["/updates"]),
        ({"updates": [trade("DEP", 1)] * 1001}, ["/updates"]),
        ({"actor": "me"}, ["/actor"]),
        ({"updates": None, "timestamp": "soon", "portfolio_id": 1}, ["/portfolio_id", "/updates", "/timestamp"]),
    ],
)
async def test_every_fault_around_the_updates_is_told(
    opened: httpx2.AsyncClient, behind: Behind, members: dict[str, Any], places: list[str]
) -> None:
    before = len(behind.log.events)
    answer = await opened.post(UPDATE, json=updating(trade("DEP", 1), **members))
    assert pointers(is_problem(answer, 422, "invalid-request")) == places
    assert len(behind.log.events) == before


async def test_what_is_missing_is_told(opened: httpx2.AsyncClient) -> None:
    assert pointers(is_problem(await opened.post(UPDATE, json={}), 422, "invalid-request")) == [
        "/updates",
        "/timestamp",
    ]
    for none in ("", "[]x", '{"updates":[{"transaction_type":"DEP","quantity_change":NaN}]}', '{"a":1,"a":2}'):
        is_problem(await opened.post(UPDATE, content=none), 400, "not-json")
    is_problem(
        await opened.post(UPDATE, content="a=1", headers={"Content-Type": "text/plain"}), 415, "unsupported-media-type"
    )
    is_problem(await opened.post(UPDATE, content=b" " * (8 * 2**20 + 1)), 413, "body-too-large")


async def test_five_minutes_ahead_are_taken_and_the_offset_is_not_kept(opened: httpx2.AsyncClient) -> None:
    answer = await opened.post(UPDATE, json=updating(trade("DEP", 1), timestamp="2025-06-21t12:05:00.0000009+02:00"))
    assert loads(answer.content)["last_updated"] == "2025-06-21T10:05:00Z"
    answer = await opened.post(UPDATE, json=updating(trade("DEP", 1), timestamp="2025-06-21T10:04:59.120Z"))
    assert loads(answer.content)["last_updated"] == "2025-06-21T10:04:59.12Z"


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("figure", ["1e2", "1E+2", "100", "100.000000000000000000", "1000000e-4", "0.1e3"])
async def test_a_number_is_taken_however_json_writes_it(
    opened: httpx2.AsyncClient, behind: Behind, figure: str, quote: str
) -> None:
    number = f"{quote}{figure}{quote}"
    body = (
        f'{{"timestamp":"2025-06-21T10:00:00Z","updates":[{{"transaction_type":"BUY","instrument_id":"A",'
        f'"quantity_change":{number},"price":{number}}}]}}'
    )
    assert (await opened.post(UPDATE, content=body)).status_code == 200
    event = behind.log.events[-1]
    assert isinstance(event, SharesBought)
    assert (event.quantity, event.price) == (Decimal(100), Decimal(100))


@pytest.mark.parametrize("kind", ["DEP", "WD"])
async def test_cash_in_and_out_takes_sixteen_places(opened: httpx2.AsyncClient, behind: Behind, kind: str) -> None:
    amount = Decimal("123456789012345.1234567890123456")
    assert (await opened.post(UPDATE, json=updating(trade(kind, str(amount))))).status_code == 200
    assert behind.log.events[-1].amount == amount  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("update", "refusal"),
    [
        (trade("SELL", "500.5", "AAPL", 1), "SELL of 500.5 AAPL: only 500 are held"),
        (trade("OUT", "500.00000001", "AAPL"), "OUT of 500.00000001 AAPL: only 500 are held"),
        (trade("COVER", 11, "TSLA", 1), "COVER of 11 TSLA: only 10 are short"),
        (trade("SELL", 1, "TSLA", 1), "SELL of 1 TSLA: only 0 are held"),
        (trade("OUT", 1, "TSLA", 1), "OUT of 1 TSLA: only 0 are held"),
        (trade("COVER", 1, "AAPL", 1), "COVER of 1 AAPL: only 0 are short"),
        (trade("SELL", 1, "NONE", 1), "SELL of 1 NONE: only 0 are held"),
        (trade("SHORT", 1, "AAPL", 1), f"SHORT of AAPL: 500 are held, {SIDES}: SELL"),
        (trade("BUY", 1, "TSLA", 1), f"BUY of TSLA: 10 are short, {SIDES}: COVER"),
        (trade("IN", 1, "TSLA", 0), f"IN of TSLA: 10 are short, {SIDES}: COVER"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
async def test_what_the_portfolio_refuses_is_409_naming_both_figures_and_changes_nothing(
    opened: httpx2.AsyncClient, behind: Behind, update: dict[str, Any], refusal: str
) -> None:
    before, state = len(behind.log.events), (await opened.get(STATE)).content
    headers = {"Idempotency-Key": "refused"}
    answer = await opened.post(UPDATE, json=updating(trade("DEP", 5), update, trade("DEP", 7)), headers=headers)
    assert is_problem(answer, 409, "rule-violated")["detail"].startswith(f"update 1: {refusal}")
    assert len(behind.log.events) == before
    assert (await opened.get(STATE)).content == state
    assert (await opened.post(UPDATE, json=updating(trade("DEP", 5)), headers=headers)).status_code == 200


async def test_a_fault_goes_before_a_refusal_and_a_missing_portfolio_before_both(opened: httpx2.AsyncClient) -> None:
    refused = trade("SELL", 501, "AAPL", 1)
    answer = await opened.post(UPDATE, json=updating(refused, trade("DEP", -1)))
    assert pointers(is_problem(answer, 422, "invalid-request")) == ["/updates/1/quantity_change"]
    missing = "/api/v1/portfolio/NONE/update"
    is_problem(await opened.post(missing, json=updating(refused)), 404, "not-found")


async def test_what_is_sold_may_be_bought_in_the_same_call(opened: httpx2.AsyncClient, behind: Behind) -> None:
    both = updating(trade("BUY", 1, "AAPL", 100), trade("SELL", 501, "AAPL", 120), trade("SHORT", 2, "AAPL", 120))
    answer = await opened.post(UPDATE, json=both)
    assert [each["quantity"] for each in loads(answer.content)["positions"][:2]] == [-2, -10]
    assert [type(event).__name__ for event in behind.log.events[-3:]] == [
        "SharesBought",
        "SharesSold",
        "SharesSoldShort",
    ]
    assert answer.headers["etag"] == '"6"'


async def test_a_thousand_trades_go_in_one_call(opened: httpx2.AsyncClient, behind: Behind) -> None:
    trades = [trade("BUY", 1, f"I{number % 100:03}", number + 1) for number in range(1000)]
    answer = await opened.post(UPDATE, json=updating(*trades))
    assert answer.headers["etag"] == '"1003"'
    state = loads(answer.content)
    assert len(state["positions"]) == 103
    assert state["positions"][2]["market_value"] == 10 * 902
    assert (await opened.get(STATE, params={"at_least": len(behind.log.events)})).content == answer.content


async def test_only_a_call_under_the_right_condition_is_taken(opened: httpx2.AsyncClient, behind: Behind) -> None:
    body = updating(trade("SELL", 1, "AAPL", 1))
    stale = await opened.post(UPDATE, json=body, headers={"If-Match": '"2"'})
    is_problem(stale, 412, "stale-version")
    assert stale.headers["etag"] == '"3"'
    assert len(behind.log.events) == 3
    await opened.post("/api/v1/prices", json=pricing({"AAPL": 1}))
    assert (await opened.post(UPDATE, json=body, headers={"If-Match": '"3"'})).headers["etag"] == '"4"'


async def test_the_first_answer_comes_again_after_prices_have_moved(opened: httpx2.AsyncClient, behind: Behind) -> None:
    headers, body = {"Idempotency-Key": "k", "If-Match": '"3"'}, updating(trade("SELL", 1, "AAPL", 150))
    first = await opened.post(UPDATE, json=body, headers=headers)
    await opened.post("/api/v1/prices", json=pricing({"AAPL": 999, "TSLA": 1}))
    await opened.post(UPDATE, json=updating(trade("BUY", 1, "AAPL", 998)))
    again = await opened.post(UPDATE, json=body, headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert [again.headers[name] for name in ("etag", "x-position")] == ['"4"', "4"]
    assert again.headers["idempotency-replayed"] == "true"
    assert loads(first.content)["positions"][0]["market_value"] == 499 * 150
    assert len(behind.log.events) == 6


async def test_huge_figures_stay_exact_to_the_cent(client: httpx2.AsyncClient, behind: Behind) -> None:
    await client.post("/api/v1/portfolios", json=opening(cash_balance=LARGEST))
    body = updating(trade("BUY", LARGEST, "HUGE", LARGEST), trade("SHORT", LARGEST, "LESS", "999999999999999.99999998"))
    answer = await client.post(UPDATE, json=body)
    most = 999999999999999_99999999  # in units of the eighth place
    state, cash = loads(answer.content), most * 10**8 - most * most + most * (most - 1)
    huge, less, _ = state["positions"]
    assert (huge["quantity"], huge["market_value"]) == (Decimal(LARGEST), cents(most * most, 16))
    assert (less["quantity"], less["market_value"]) == (Decimal(f"-{LARGEST}"), cents(-most * (most - 1), 16))
    assert state["cash_balance"] == cents(cash, 16)
    assert state["total_value"] == cents(most, 8)
    assert re.search(rb"[0-9][eE]", answer.content) is None
    first = behind.log.events[0]
    assert isinstance(first, PortfolioOpened)
    assert first.cash == Decimal(LARGEST)
    assert (await client.get(STATE)).content == answer.content


def cents(units: int, places: int) -> Decimal:
    """Return the number of units of that decimal place, half-even to cents, by whole numbers alone."""
    unit = 10 ** (places - 2)
    whole, rest = divmod(units, unit)
    whole += rest * 2 > unit or (rest * 2 == unit and whole % 2 == 1)
    return Decimal(f"{whole}E-2")


async def test_an_overdraft_is_told_and_no_reason_to_refuse(opened: httpx2.AsyncClient, behind: Behind) -> None:
    answer = await opened.post(UPDATE, json=updating(trade("WD", 1_000_000)))
    state = loads(answer.content)
    assert (state["overdrawn"], state["cash_balance"]) == (True, Decimal("-970875.00"))
    assert state["positions"][-1]["market_value"] == state["positions"][-1]["cost_basis"] == state["cash_balance"]
    assert not any(isinstance(event, CashDeposited) for event in behind.log.events)
