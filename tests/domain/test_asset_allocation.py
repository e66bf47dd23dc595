"""Allocations by asset class: what one may be, its hash, and when a rebalance is another one, the same, or refused."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest

from domain.asset_allocation import (
    MAX_ASSET,
    MAX_ASSETS,
    Action,
    Allocation,
    AssetTransaction,
    Basis,
    RebalanceRequest,
    allocation_hash,
    allocation_of,
    same,
    transactions,
)
from domain.base import fold
from domain.codec import decode, decode_snapshot, encode, encode_snapshot
from domain.errors import Invalid, NotFound
from domain.portfolio import AllocationSet, Portfolio, RebalanceBooked, RebalanceRequested, Status
from tests.domain.allocations import (
    allocated,
    book,
    from_market,
    percents,
    request,
    set_to,
    shares,
    to_target,
)
from tests.domain.given import given
from tests.domain.portfolios import NOW, become, opened, refusal

SAME = "New allocation is the same as current allocation"


def buy(asset: str, percent: str) -> AssetTransaction:
    return AssetTransaction(Action.BUY, asset, Decimal(percent))


def sell(asset: str, percent: str) -> AssetTransaction:
    return AssetTransaction(Action.SELL, asset, Decimal(percent))


def held(portfolio: Portfolio) -> tuple[Allocation, Allocation, tuple[RebalanceRequest, ...]]:
    """Return the target, what it will be, and what is pending."""
    return portfolio.allocation, portfolio.left, portfolio.requests


@pytest.mark.parametrize(
    ("allocation", "digest"),
    [
        (shares(bonds=30, gold=10, stocks=60), "349acc472da8c8532eb5f24ea6bdaf8fcd298db63276b03842fa1d79b368b5d2"),
        (shares(stocks=60, bonds=30, gold=10), "349acc472da8c8532eb5f24ea6bdaf8fcd298db63276b03842fa1d79b368b5d2"),
        (shares(gold="1E+1", stocks="60.0", bonds="30.00"), allocation_hash(shares(stocks=60, bonds=30, gold=10))),
        # printf '{"Ünï <&>/":99.99999998,"｡":0.00000001,"🌍":0.00000001}' | sha256sum
        (
            allocation_of({"🌍": Decimal("1E-8"), "｡": Decimal("1E-8"), "Ünï <&>/": Decimal("99.99999998")}),
            "445f5125fa389e0497111d62ebda2283e185959f5e0f3e2218cb5759f9b115e9",
        ),
    ],
)
def test_the_hash_is_of_the_contract_s_text(allocation: Allocation, digest: str) -> None:
    assert allocation_hash(allocation) == digest


def test_what_is_at_nothing_is_dropped_and_the_order_is_kept() -> None:
    given_percents = {"z": Decimal("1E+2"), "gold": Decimal("-0.0"), "a": Decimal("0E-7")}
    assert str(allocation_of(given_percents)) == "(Share(asset='z', percent=Decimal('100')),)"
    assert [share.asset for share in allocation_of(percents(z=1, a=98, m=1))] == ["z", "a", "m"]


@pytest.mark.parametrize("parts", [("33.3", "33.3", "33.4"), ("29.2", "39.2", "31.6"), ("99.99999998", "1E-8", "1E-8")])
def test_percentages_are_added_exactly_in_every_order(parts: tuple[str, ...]) -> None:
    for order in permutations(zip("abc", parts, strict=True)):
        assert len(allocation_of({asset: Decimal(percent) for asset, percent in order})) == 3
        off = {asset: Decimal(percent) for asset, percent in order} | {"d": Decimal("1E-8")}
        assert wrong(off) == "allocation percentages must sum to 100"


def wrong(by_asset: dict[str, Decimal]) -> str:
    with pytest.raises(Invalid) as refused:
        allocation_of(by_asset)
    (fault,) = refused.value.faults
    assert fault.pointer == "/allocation"
    return fault.detail


@pytest.mark.parametrize(
    ("by_asset", "detail"),
    [
        ({}, "allocation is required"),
        (percents(a=-1, b=101), "allocation percentages cannot be negative"),
        (percents(a=-1, b=1), "allocation percentages cannot be negative"),
        (percents(a=0), "allocation percentages must sum to 100"),
        (percents(a="100.00000001"), "allocation percentages must sum to 100"),
        (percents(a="-0.000000001", b=100), "'a' has 9 decimal places, at most 8 are taken"),
        (percents(a="1E+15", b=100), "'a' has 16 digits before the point, at most 15 are taken"),
        ({"": Decimal(100)}, "'' is no name of an asset"),
        ({" \t": Decimal(100)}, "' \\t' is no name of an asset"),
        ({"a\0": Decimal(100)}, "'a\\x00' holds a control character, which cannot be shown"),
        ({"a" * (MAX_ASSET + 1): Decimal(100)}, f"'{'a' * 100}' has 201 characters, at most 200 are taken"),
        (
            {str(number): Decimal(0) for number in range(MAX_ASSETS + 1)},
            "allocation has 1001 assets, at most 1000 are taken",
        ),
    ],
)
def test_what_is_no_allocation_says_why(by_asset: dict[str, Decimal], detail: str) -> None:
    assert wrong(by_asset) == detail


def test_transactions_lead_from_one_allocation_to_the_other() -> None:
    old, new = shares(stocks=60, bonds=30, gold=10), shares(stocks=70, bonds=20, gold=10)
    assert transactions(old, new) == (buy("stocks", "10"), sell("bonds", "10"))
    assert transactions(new, old) == (sell("stocks", "10"), buy("bonds", "10"))
    assert transactions(old, old) == ()
    other = shares(cash="0.00000001", stocks="99.99999999")
    assert transactions(old, other) == (
        buy("stocks", "39.99999999"),
        sell("bonds", "30"),
        sell("gold", "10"),
        buy("cash", "0.00000001"),
    )
    assert same(old, shares(gold=10, bonds="30.0", stocks=60))
    assert not same(old, new)


def test_a_target_is_set_at_once_and_again_only_when_that_changes_something() -> None:
    given(opened()).when(set_to(stocks=60, bonds=40)).then(
        (AllocationSet, {"allocation": shares(stocks=60, bonds=40), "timestamp": NOW})
    ).when(set_to(bonds="40.0", stocks=60, gold=0)).then().when(set_to(stocks=100)).then((AllocationSet, {}))
    pending = given(allocated(to_target(stocks=100)))
    pending.when(set_to(stocks=60, bonds=30, gold=10)).then((AllocationSet, {}))


def test_a_rebalance_to_a_target_is_the_allocation_once_it_is_booked() -> None:
    old, new = shares(stocks=60, bonds=30, gold=10), shares(stocks=70, bonds=20, gold=10)
    told = given(allocated()).when(to_target(stocks="70.0", bonds=20, gold=10, art=0))
    digest = allocation_hash(new)
    told.then(
        (
            RebalanceRequested,
            {"basis": Basis.TARGET, "current": old, "allocation": new, "allocation_hash": digest, "timestamp": NOW},
        )
    )
    assert held(told.aggregate) == (old, new, (request(3, Basis.TARGET, old, new),))
    moved = (buy("stocks", "10"), sell("bonds", "10"))
    told.when(book()).then((RebalanceBooked, {"request_version": 3, "transactions": moved, "allocation": new}))
    assert held(told.aggregate) == (new, new, ())


def test_a_rebalance_from_the_market_restores_the_target_which_stays() -> None:
    told = given(allocated()).when(from_market(stocks=70, bonds=20, gold=10))
    told.then((RebalanceRequested, {"basis": Basis.MARKET, "current": shares(stocks=60, bonds=30, gold=10)}))
    moved = (sell("stocks", "10"), buy("bonds", "10"))
    told.when(book()).then((RebalanceBooked, {"transactions": moved, "allocation": told.aggregate.allocation}))
    assert told.aggregate.allocation == told.aggregate.left == shares(stocks=60, bonds=30, gold=10)


def test_each_starts_from_what_those_before_it_leave() -> None:
    asked = [to_target(stocks=100), from_market(stocks=90, gold=10), to_target(gold=100), from_market(stocks=100)]
    told = given(allocated(*asked)).when(book())
    told.then(
        (RebalanceBooked, {"transactions": (buy("stocks", "40"), sell("bonds", "30"), sell("gold", "10"))}),
        (RebalanceBooked, {"transactions": (buy("stocks", "10"), sell("gold", "10"))}),
        (RebalanceBooked, {"transactions": (sell("stocks", "100"), buy("gold", "100"))}),
        (RebalanceBooked, {"transactions": (sell("stocks", "100"), buy("gold", "100"))}),
    )


def test_a_rebalance_from_a_market_that_is_the_new_target_has_nothing_to_trade() -> None:
    told = given(allocated(to_target(stocks=100), from_market(stocks=100)))
    told.when(book()).then((RebalanceBooked, {}), (RebalanceBooked, {"transactions": (), "request_version": 4}))


def test_the_last_one_again_is_the_same_only_while_it_is_pending() -> None:
    target = given(allocated(to_target(stocks=100)))
    target.when(to_target(stocks="100.00", bonds=0)).then()
    target.when(book()).then((RebalanceBooked, {}))
    assert refusal(target.aggregate, to_target(stocks=100)) == SAME
    market = given(allocated(from_market(stocks=100)))
    market.when(from_market(bonds=0, stocks="1E+2")).then()
    market.when(book()).then((RebalanceBooked, {}))
    market.when(from_market(stocks=100)).then((RebalanceRequested, {}))


def test_another_basis_is_another_request() -> None:
    given(allocated(to_target(stocks=100))).when(from_market(stocks=100)).then((RebalanceRequested, {}))
    given(allocated(from_market(stocks=100))).when(to_target(stocks=100)).then((RebalanceRequested, {}))


def test_a_b_a_b_are_four_rebalances() -> None:
    a, b = to_target(stocks=100), to_target(gold=100)
    told = given(allocated()).when(a).when(b).when(a).when(b)
    told.then(*[(RebalanceRequested, {})] * 4)
    told.when(book()).then(*[(RebalanceBooked, {"request_version": version}) for version in (3, 4, 5, 6)])


def test_what_changes_nothing_is_refused() -> None:
    for ask in (to_target, from_market):
        assert refusal(allocated(), ask(bonds="30.0", stocks=60, gold=10, art=0)) == SAME
    pending = allocated(to_target(stocks=100))
    assert refusal(pending, from_market(stocks=60, bonds=30, gold=10)) == SAME  # compared with the stored target
    to_target(stocks=60, bonds=30, gold=10)(pending)
    assert len(pending.requests) == 2


def test_an_allocation_that_is_set_ends_what_was_the_same_and_stays() -> None:
    told = given(allocated(to_target(stocks=100), set_to(gold=100)))
    told.when(to_target(stocks=100)).then((RebalanceRequested, {"current": shares(gold=100)}))
    assert told.aggregate.allocation == shares(gold=100)
    told.when(book(3)).then((RebalanceBooked, {"request_version": 3, "allocation": shares(gold=100)}))
    told.when(book(5)).then((RebalanceBooked, {"request_version": 5, "allocation": shares(stocks=100)}))
    assert refusal(allocated(to_target(stocks=100), set_to(stocks=100)), to_target(stocks=100)) == SAME


def test_booking_takes_the_oldest_first_up_to_a_version_and_each_once() -> None:
    told = given(allocated(to_target(stocks=100), to_target(gold=100), from_market(art=100)))
    told.when(book(2)).then()
    told.when(book(4)).then((RebalanceBooked, {"request_version": 3}), (RebalanceBooked, {"request_version": 4}))
    told.when(book(4)).then()
    told.when(book(5)).then((RebalanceBooked, {"request_version": 5}))
    told.when(book()).then()


def test_a_closed_portfolio_takes_nothing_but_what_was_accepted_is_booked() -> None:
    closed = allocated(to_target(stocks=100), become(Status.CLOSED))
    for decide in (set_to(stocks=1, bonds=99), to_target(stocks=100), from_market(gold=100)):
        assert refusal(closed, decide) == "portfolio is closed"
    given(closed).when(book()).then((RebalanceBooked, {"request_version": 3}))


def test_without_an_allocation_there_is_nothing_to_start_from() -> None:
    for portfolio in (opened(), opened().copy()):
        become(Status.CLOSED)(portfolio)
        with pytest.raises(NotFound):
            to_target(stocks=100)(portfolio)
        with pytest.raises(Invalid):
            to_target(stocks=99)(portfolio)


def test_it_is_the_same_portfolio_from_its_events_and_from_a_snapshot() -> None:
    portfolio = allocated(to_target(stocks=100), set_to(art=100), from_market(gold=100), to_target(x=100), book(3))
    stored = [(each.TOPIC, encode(each), each.originator_version) for each in portfolio.collect_events()]
    events = [decode(topic, state, portfolio.id, version) for topic, state, version in stored]
    assert encode_snapshot(fold(events)) == encode_snapshot(portfolio)  # type: ignore[arg-type]
    again = decode_snapshot(Portfolio, encode_snapshot(portfolio), portfolio.id, portfolio.version)
    assert isinstance(again, Portfolio)
    assert (again.requests, again.left, again.allocation_set) == (portfolio.requests, portfolio.left, 4)
    book()(again.copy())
    assert len(again.requests) == 2
