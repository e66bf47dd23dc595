"""The route of transactions: exact figures, filters that say what is wrong with them, and never a wrong 404."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from api.app import Application, Deps, create_app
from api.numbers import loads
from api.queries.system import Part
from domain.base import Event
from domain.errors import StoreUnavailable
from domain.portfolio import TransactionType
from domain.values import plain
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.portfolio import Portfolios
from read_side.signals import Signals
from read_side.transactions import Transactions
from tests.api.asking import is_problem, pointers
from tests.api.described import findings
from tests.api.doubles import Behind
from tests.api.folded import FoldedViews
from tests.projections.logs import opened
from tests.projections.trading import every_type

NOW = datetime(2025, 6, 21, 12, tzinfo=UTC)
PATH = "/api/v1/portfolio/ACC-1/transactions"
EVENTS = [opened("EMPTY"), *every_type("ACC-0", "7"), *every_type()]
HEAD = len(EVENTS)


class Well:
    """Health that nobody asks for."""

    async def parts(self) -> Sequence[Part]:
        return []


@dataclass
class Views:
    """The two views behind the route, each as far as its list of events goes."""

    transactions: FoldedViews = field(default_factory=lambda: FoldedViews(list(EVENTS), (TRANSACTION_PROJECTOR,)))
    portfolios: FoldedViews = field(default_factory=lambda: FoldedViews(list(EVENTS), (PORTFOLIO_PROJECTOR,)))

    def app(self) -> Application:
        known = Portfolios(self.portfolios, Signals())
        transactions = Transactions(self.transactions, Signals(), known)
        queries = replace(Behind().queries(), transactions=transactions)
        return create_app(Deps(clock=lambda: NOW, health=Well(), queries=queries))

    async def get(self, query: str = "", *, path: str = PATH, **headers: str) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self.app(), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://foliolog") as client:
            return await client.get(f"{path}?{query}" if query else path, headers=headers)


@pytest.fixture
def views() -> Views:
    return Views()


def positions(answer: httpx2.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [item["position"] for item in answer.json()["items"]]


async def test_transactions_are_listed_newest_first_to_the_byte(views: Views) -> None:
    answer = await views.get("limit=2")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert "etag" not in answer.headers
    assert answer.text == (
        '{"items":['
        '{"portfolio_id":"ACC-1","instrument_id":"CASH","transaction_type":"WD","quantity":1000,"price":1,'
        '"transaction_value":1000.00,"transaction_date":"2025-06-21T10:11:00Z","realized_pnl":null,"position":26},'
        '{"portfolio_id":"ACC-1","instrument_id":"CASH","transaction_type":"FEE","quantity":12.5,"price":1,'
        '"transaction_value":12.50,"transaction_date":"2025-06-21T10:10:00Z","realized_pnl":null,"position":25}'
        '],"next":"2"}'
    )


async def test_every_type_is_shown_with_its_own_figures(views: Views) -> None:
    items = loads((await views.get()).content)["items"]
    assert [item["transaction_type"] for item in items] == [
        "WD", "FEE", "DIVIDEND", "OUT", "IN", "IN", "COVER", "SHORT", "SELL", "BUY", "DEP", "DEP"
    ]  # fmt: skip
    figures = {
        f"{item['transaction_type']} {item['instrument_id']} {plain(Decimal(item['quantity']))}": (
            str(item["price"]),
            str(item["transaction_value"]),
            item["realized_pnl"] if item["realized_pnl"] is None else str(item["realized_pnl"]),
        )
        for item in items
    }
    assert figures["SELL AAPL 200"] == ("150.255", "30051.00", "501.00")
    assert figures["COVER TSLA 1"] == ("130.005", "130.00", "-30.00")
    assert figures["OUT MSFT 1.5"] == ("1.42857143", "2.14", None)
    assert figures["DEP CASH 0.0000000000000001"] == ("1", "0.00", None)
    assert figures["IN MSFT 3"] == ("0", "0.00", None)
    assert figures["DIVIDEND AAPL 300"] == ("0.24", "72.00", None)


async def test_pages_hold_every_transaction_once(views: Views) -> None:
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await views.get(f"limit=5&cursor={cursor}" if cursor else "limit=5")
        seen += positions(answer)
        cursor = answer.json()["next"]
    assert seen == list(range(26, 14, -1))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=SELL", [18]),
        ("type=IN", [22, 21]),
        ("instrument_id=TSLA", [20, 19]),
        ("instrument_id=CASH", [26, 25, 16, 15]),
        ("instrument_id=CASH&type=DEP", [16, 15]),
        ("instrument_id=NONE", []),
        ("from=2025-06-21T10:10:00Z", [26, 25]),
        ("to=2025-06-21T10:01:00Z", [16, 15]),
        ("from=2025-06-21T10:02:00Z&to=2025-06-21T10:03:00Z", [18, 17]),
        ("from=2025-06-21T10:02:00Z&to=2025-06-21T10:02:00Z", [17]),
        ("from=2025-06-21T10:02:00.0000019Z&to=2025-06-21T10:02:59.999999Z", []),
        ("from=2025-06-21T12:10:00%2B02:00", [26, 25]),
        ("from=2025-06-21T04:40:00-05:30", [26, 25]),
        ("from=2025-06-21t10:10:00z", [26, 25]),
        ("to=0001-01-01T00:00:00Z", []),
        ("from=9999-12-31T23:59:59Z", []),
        ("type=SELL&instrument_id=AAPL&from=2025-06-21T10:00:00Z&to=2025-06-21T11:00:00Z", [18]),
    ],
)
async def test_filters_narrow_the_list_and_both_ends_are_included(
    views: Views, query: str, expected: list[int]
) -> None:
    assert positions(await views.get(query)) == expected


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2025-06-21T10:00:00", "no offset"),
        ("2025-06-21T10:00:00+02:00", "%2B"),
        ("2025-06-21T10:00:00.5+02:00", "2025-06-21T10:00:00.5%2B02:00"),
        ("2025-06-21", "RFC 3339"),
        ("2025-06-21+10:00", "RFC 3339"),
        ("", "RFC 3339"),
        ("yesterday", "2025-06-21T10:00:00Z"),
        ("1750500000", "RFC 3339"),
        ("2025-06-31T10:00:00Z", "2025-06-31"),
        ("2025-06-21T10:00:60Z", "leap second"),
        ("0001-01-01T00:00:00%2B01:00", "no time"),
        ("%00", "RFC 3339"),
        ("x" * 5_000, "RFC 3339"),
    ],
)
async def test_a_time_that_is_none_says_how_it_is_written(views: Views, name: str, text: str, told: str) -> None:
    problem = is_problem(await views.get(f"{name}={text}"), 422, "invalid-request")
    [fault] = problem["errors"]
    assert fault["parameter"] == name
    assert told in fault["detail"]
    assert "%2B" in fault["detail"]
    assert len(fault["detail"]) < 300


async def test_from_after_to_names_both(views: Views) -> None:
    problem = is_problem(await views.get("from=2025-06-21T10:00:01Z&to=2025-06-21T10:00:00Z"), 422, "invalid-request")
    assert pointers(problem) == ["from", "to"]
    assert all("2025-06-21T10:00:01Z" in fault["detail"] for fault in problem["errors"])


async def test_a_type_that_is_none_names_the_ten(views: Views) -> None:
    for text in ("buy", "", "TRADE"):
        [fault] = is_problem(await views.get(f"type={text}"), 422, "invalid-request")["errors"]
        assert fault["parameter"] == "type"
        assert fault["detail"].endswith(", ".join(TransactionType))


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("instrument_id=", ["instrument_id"]),
        ("instrument_id=a%20b", ["instrument_id"]),
        ("instrument_id=..", ["instrument_id"]),
        (f"instrument_id={'x' * 25}", ["instrument_id"]),
        ("instrument_id=%00", ["instrument_id"]),
        ("limit=0", ["limit"]),
        ("cursor=oops", ["cursor"]),
        ("at_least=-1", ["at_least"]),
        ("instrument_id=.&type=x&from=x&to=y&limit=0&at_least=z",
         ["instrument_id", "type", "from", "to", "limit", "at_least"]),
    ],
)  # fmt: skip
async def test_a_query_that_does_not_fit_names_every_parameter(views: Views, query: str, places: list[str]) -> None:
    problem = is_problem(await views.get(query), 422, "invalid-request")
    assert pointers(problem) == places
    assert all("parameter" in fault for fault in problem["errors"])


@pytest.mark.parametrize("portfolio_id", ["NONE", "a b", "\0", "..", "x" * 101, "\U0001f600"])
async def test_an_unknown_portfolio_is_404_and_one_without_transactions_an_empty_list(
    views: Views, portfolio_id: str
) -> None:
    path = "/api/v1/portfolio/{}/transactions"
    answer = await views.get(path=path.format(quote(portfolio_id, safe="").replace("..", "%2E%2E")))
    is_problem(answer, 404, "not-found")
    assert (await views.get(path=path.format("EMPTY"))).text == '{"items":[],"next":null}'


async def behind_says_503(views: Views, view: str, **headers: str) -> None:
    answer = await views.get(f"at_least={HEAD}&type=OUT", path="/api/v1/portfolio/EMPTY/transactions", **headers)
    problem = is_problem(answer, 503, "projection-behind")
    assert view in problem["detail"]
    assert "retry-after" in answer.headers


async def test_either_view_behind_is_503_and_never_404(views: Views) -> None:
    headers = {"Prefer": "wait=0"}
    assert positions(await views.get(f"at_least={HEAD}")) == list(range(26, 14, -1))
    events: list[Event] = EVENTS[:-1]
    await behind_says_503(Views(transactions=FoldedViews(events, (TRANSACTION_PROJECTOR,))), "transactions", **headers)
    await behind_says_503(Views(portfolios=FoldedViews([], (PORTFOLIO_PROJECTOR,))), "portfolios", **headers)


@pytest.mark.parametrize("member", ["transactions", "portfolios"])
async def test_a_store_that_is_away_is_503(views: Views, member: str) -> None:
    getattr(views, member).failure = StoreUnavailable("the views cannot be reached")
    answer: Any = await views.get(path="/api/v1/portfolio/EMPTY/transactions")
    is_problem(answer, 503, "store-unavailable")


def test_the_route_keeps_its_document(views: Views) -> None:
    assert findings(app=views.app()) == []


def test_the_document_tells_the_filters_by_their_names(views: Views) -> None:
    operation = views.app().openapi()["paths"]["/api/v1/portfolio/{portfolio_id}/transactions"]["get"]
    names = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"]
    assert names == ["instrument_id", "type", "from", "to", "limit", "cursor", "at_least"]
