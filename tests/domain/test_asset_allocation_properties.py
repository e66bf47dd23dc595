"""Any interleaving of set, target, market and book is a plain fold of what was accepted, in log order."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.asset_allocation import Action, Allocation, Basis, RebalanceRequest, Share, needed
from domain.errors import NotFound, RuleViolated
from domain.portfolio import AllocationSet, Portfolio, RebalanceBooked, RebalanceRequested
from tests.domain.portfolios import NOW, opened

Plain: TypeAlias = dict[str, Fraction]
Moves: TypeAlias = dict[str, Fraction]
Step: TypeAlias = tuple[str, int]
TARGETS = (
    {"a": Decimal(60), "b": Decimal(40)},
    {"b": Decimal("40.0"), "a": Decimal(60), "c": Decimal(0)},
    {"a": Decimal("33.3"), "b": Decimal("33.3"), "c": Decimal("33.4")},
    {"c": Decimal(100)},
)


def plain(target: int) -> Plain:
    return {asset: Fraction(percent) for asset, percent in TARGETS[target].items() if percent}


@dataclass
class Model:
    """The log of what was accepted, and how much of it is booked; everything else is said anew each time."""

    log: list[tuple[str, Plain]] = field(default_factory=list)
    booked: int = 0

    def target(self, entries: list[tuple[str, Plain]]) -> Plain:
        return next((each for kind, each in reversed(entries) if kind != "market"), {})

    def requests(self) -> list[int]:
        return [index for index, (kind, _) in enumerate(self.log) if kind != "set"]

    def stored(self) -> Plain:
        """The target as it counts: of the log without the target requests that are pending."""
        pending = self.requests()[self.booked :]
        return self.target([each for index, each in enumerate(self.log) if index not in pending])

    def moves(self) -> list[Moves]:
        """What every request of the log, in its order, has to move."""
        found = []
        for index in self.requests():
            kind, asked = self.log[index]
            before = self.target(self.log[:index])
            one, other = (before, asked) if kind == "target" else (asked, before)
            change = {asset: other.get(asset, 0) - one.get(asset, 0) for asset in one | other}
            found.append({asset: Fraction(size) for asset, size in change.items() if size})
        return found

    def takes(self, kind: str, asked: Plain) -> bool | None:
        """Whether it is accepted: True as news, None as the same again."""
        if kind == "set":
            news = self.booked < len(self.requests()) or asked != self.stored()
            return True if news else None
        if not self.stored():
            return False
        if self.booked < len(self.requests()) and self.log[-1] == (kind, asked):
            return None
        return asked != (self.target(self.log) if kind == "target" else self.stored())


def moved(event: RebalanceBooked) -> Moves:
    return {
        each.asset: Fraction(each.percent) * (1 if each.action is Action.BUY else -1) for each in event.transactions
    }


def ask(portfolio: Portfolio, kind: str, target: int) -> bool | None:
    """Return whether it was accepted, None as the same again."""
    before = portfolio.version
    try:
        if kind == "set":
            portfolio.set_allocation(TARGETS[target], NOW)
        else:
            portfolio.request_rebalance(Basis(kind), TARGETS[target], NOW)
    except (RuleViolated, NotFound):
        return False
    return True if portfolio.version > before else None


steps = st.lists(st.tuples(st.sampled_from(["set", "target", "market", "target", "market", "book"]), st.integers(0, 3)))


@settings(max_examples=1000, deadline=None)
@given(steps)
def test_any_interleaving_is_a_fold_in_log_order(steps: list[Step]) -> None:
    portfolio, model = opened(), Model()
    portfolio.collect_events()
    versions: list[int] = []
    booked: list[RebalanceBooked] = []
    for kind, number in [*steps, ("book", 10**6)]:
        if kind == "book":
            portfolio.book_rebalances(sum(versions[:number][-1:]), NOW)
            model.booked = max(model.booked, min(number, len(versions)))
        else:
            taken = model.takes(kind, plain(number))
            assert ask(portfolio, kind, number) is taken
            if taken:
                model.log.append((kind, plain(number)))
        for event in portfolio.collect_events():
            match event:
                case RebalanceRequested():
                    versions.append(event.originator_version)
                case RebalanceBooked():
                    booked.append(event)
                case _:
                    assert isinstance(event, AllocationSet)
        assert {share.asset: share.percent for share in portfolio.allocation} == model.stored()
        assert len(portfolio.requests) == len(versions) - model.booked
    assert [event.request_version for event in booked] == versions
    assert [moved(event) for event in booked] == model.moves()
    assert {share.asset: share.percent for share in portfolio.allocation} == model.target(model.log)


allocations = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10**10), min_size=1).map(
    lambda parts: tuple(Share(asset, Decimal(part).scaleb(-8)) for asset, part in parts.items())
)


@settings(deadline=None)
@given(allocations, allocations, st.sampled_from(Basis))
def test_the_transactions_of_a_rebalance_make_the_difference(one: Allocation, other: Allocation, basis: Basis) -> None:
    had, wanted = (one, other) if basis is Basis.TARGET else (other, one)
    after = {share.asset: share.percent for share in had}
    for each in needed(RebalanceRequest(1, basis, one, other, "")):
        assert each.percent > 0
        sign = 1 if each.action is Action.BUY else -1
        after[each.asset] = after.get(each.asset, Decimal(0)) + sign * each.percent
    assert {asset: percent for asset, percent in after.items() if percent} == {
        share.asset: share.percent for share in wanted
    }
