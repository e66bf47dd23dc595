"""What each status of a portfolio takes and refuses, and which status follows which."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.portfolio import Portfolio, PositionUpdate, Status, StatusChanged
from tests.domain.given import given
from tests.domain.portfolios import (
    NOW,
    asked,
    become,
    buy,
    deposit,
    fee,
    holding,
    move_in,
    opened,
    refusal,
    sell,
    short,
    update,
    withdrawal,
)

KINDS = ("BUY", "SELL", "SHORT", "COVER", "DEP", "WD", "IN", "OUT", "DIVIDEND", "FEE")
TAKEN = {
    Status.ACTIVE: set(KINDS),
    Status.SUSPENDED: {"DEP", "WD", "IN", "OUT", "DIVIDEND", "FEE"},
    Status.LIQUIDATING: {"SELL", "COVER", "WD", "OUT", "FEE", "DIVIDEND", "DEP"},
    Status.CLOSED: set(),
}
LIVE = (Status.ACTIVE, Status.SUSPENDED, Status.LIQUIDATING)


def overdrawn(status: Status) -> Portfolio:
    """Return a portfolio long of LONG, short of SHRT and overdrawn by 1000; a closed one has nothing."""
    if status is Status.CLOSED:
        return holding(status=status)
    return holding(buy("LONG", "10", "20"), short("SHRT", "10", "20"), withdrawal("1000"), status=status)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("kind", KINDS)
def test_every_status_with_every_kind_of_update(status: Status, kind: str) -> None:
    portfolio = overdrawn(status)
    instrument = {"BUY": "LONG", "SELL": "LONG", "OUT": "LONG", "IN": "LONG", "SHORT": "SHRT", "COVER": "SHRT"}
    moves_cash = kind in {"DEP", "WD", "FEE"}
    one = asked(kind, "1", None if moves_cash else "20", None if moves_cash else instrument.get(kind, "LONG"))
    if kind in TAKEN[status]:
        version = portfolio.version
        portfolio.update([one], NOW, now=NOW)
        assert portfolio.version == version + 1
    else:
        message = refusal(portfolio, update(one))
        assert {"ACC-1", kind} <= set(message.split())
        assert status in message


@pytest.mark.parametrize("before", LIVE)
@pytest.mark.parametrize("after", LIVE)
def test_the_live_ones_go_to_each_other_freely(before: Status, after: Status) -> None:
    change = [] if before is after else [(StatusChanged, {"status": after, "timestamp": NOW})]
    given(overdrawn(before)).when(become(after)).then(*change)


@pytest.mark.parametrize("before", LIVE)
def test_any_live_one_closes_when_it_is_flat_with_no_cash(before: Status) -> None:
    flat = holding(buy("X", "1", "3"), sell("X", "1", "3"), status=before)
    given(flat).when(become(Status.CLOSED)).then((StatusChanged, {"status": Status.CLOSED}))
    assert flat.status is Status.CLOSED


@pytest.mark.parametrize("after", LIVE)
def test_nothing_leaves_closed(after: Status) -> None:
    message = refusal(overdrawn(Status.CLOSED), become(after))
    assert "CLOSED" in message
    assert after in message


@pytest.mark.parametrize("before", LIVE)
@pytest.mark.parametrize(
    ("left", "figure"),
    [
        ([deposit("0.0000000000000001")], "0.0000000000000001"),
        ([fee("0.00000001")], "-0.00000001"),
        ([move_in("GIFT", "0.00000001", "0")], "1"),
        ([buy("X", "2", "3"), short("Y", "2", "3")], "2"),
    ],
)
def test_what_is_not_flat_with_cash_exactly_0_does_not_close(
    before: Status, left: list[PositionUpdate], figure: str
) -> None:
    message = refusal(holding(*left, status=before), become(Status.CLOSED))
    assert figure in message.replace(":", " ").split()


@pytest.mark.parametrize("status", list(Status))
def test_the_same_status_again_is_no_event(status: Status) -> None:
    given(overdrawn(status)).when(become(status)).when(become(status)).then()


def test_a_status_changes_no_figure_and_so_no_time_of_one() -> None:
    portfolio = opened("1")
    portfolio.change_status(Status.SUSPENDED, NOW + timedelta(hours=1))
    assert (portfolio.last_updated, portfolio.cash_updated) == (NOW, NOW)


# --- liquidating: deposits up to the overdraft -----------------------------------------------------------------------


def test_liquidating_takes_a_deposit_of_the_whole_overdraft() -> None:
    portfolio = overdrawn(Status.LIQUIDATING)
    portfolio.update([deposit("400"), deposit("600")], NOW, now=NOW)
    assert portfolio.cash == 0


def test_liquidating_takes_no_deposit_above_the_overdraft() -> None:
    message = refusal(overdrawn(Status.LIQUIDATING), update(deposit("1000.0000000000000001")))
    assert "1000.0000000000000001" in message
    assert "overdraft is 1000" in message
    message = refusal(overdrawn(Status.LIQUIDATING), update(deposit("400"), deposit("601")))
    assert "update 1" in message
    assert "overdraft is 600" in message


@pytest.mark.parametrize("cash", ["0", "0.01"])
def test_liquidating_takes_no_deposit_without_an_overdraft(cash: str) -> None:
    assert "overdraft is 0" in refusal(holding(cash=cash, status=Status.LIQUIDATING), update(deposit("0.01")))


def test_liquidating_can_be_wound_up_and_closed() -> None:
    portfolio = overdrawn(Status.LIQUIDATING)
    portfolio.update(
        [asked("SELL", "10", "30", "LONG"), asked("COVER", "10", "15", "SHRT"), deposit("850")], NOW, now=NOW
    )
    portfolio.change_status(Status.CLOSED, NOW)
    assert (portfolio.cash, portfolio.positions, portfolio.status) == (Decimal(0), {}, Status.CLOSED)
