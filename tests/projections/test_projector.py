"""The fold of a page: events in order, rows looked up when they are needed, nothing kept of an event begun in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace as changed

from domain.base import Event, Recorded
from domain.errors import Broken
from domain.portfolio import CashDeposited, PortfolioOpened, StatusChanged
from domain.values import EXACT, ZERO
from projections.projector import Folding, Projector, Rows, Unknown, by_key
from read_side.store import Row, View
from tests.projections.logs import deposited, opened
from tests.projections.quoting import recorded

NOW = datetime(2025, 6, 21, 10, tzinfo=UTC)
HOUSE = "house"


class Sum(Row, frozen=True, kw_only=True, gc=False):
    """What came into one portfolio, or into all of them."""

    key: str
    total: Decimal


SUMS = View(name="sums", row=Sum, key="key")
Taken = list[int]


def name_of(recorded: Recorded) -> str:
    return recorded.stream.partition("/")[2]


def added(row: Sum | None, key: str, recorded: Recorded) -> Sum:
    amount = getattr(recorded.event, "amount", ZERO)
    return Sum(position=recorded.position, key=key, total=EXACT.add(row.total if row else ZERO, amount))


def summing(taken: Taken | None = None, read: Callable[[Rows[Sum], str], None] | None = None) -> Projector[Sum]:
    """Return the projector that adds each deposit to the portfolio's own row, then to the one of the house.

    The second row is read after the first is changed. ``taken`` gets the position of every attempt.
    """

    def apply(rows: Rows[Sum], recorded: Recorded) -> None:
        if taken is not None:
            taken.append(recorded.position)
        name = name_of(recorded)
        rows[name] = added(rows[name], name, recorded)
        if read is not None:
            read(rows, name)
        rows[HOUSE] = added(rows[HOUSE], HOUSE, recorded)

    return Projector(view=SUMS, handles=frozenset({CashDeposited}), apply=apply)


def totals(rows: Mapping[str, Sum | None]) -> dict[str, str]:
    return {key: str(row.total) for key, row in rows.items() if row is not None}


def through(projector: Projector[Sum], events: Sequence[Recorded], stored: Mapping[str, Sum]) -> list[list[str]]:
    """Fold as a runner does; return the keys it was asked to look up, one list a time."""
    folding, known, asked = Folding(projector, events), dict[str, Sum | None](), list[list[str]]()
    while unknown := folding.advance(known.__getitem__):
        asked.append(sorted(unknown))
        known.update((key, stored.get(key)) for key in unknown)
    return asked


DEPOSITS = recorded([deposited("A", 2, "0"), deposited("B", 2, "0"), deposited("A", 3, "0")])


def test_events_are_taken_in_order_and_see_what_the_ones_before_have_made() -> None:
    assert totals(summing().fold({}, DEPOSITS)) == {"A": "0.02", "B": "0.01", HOUSE: "0.03"}


def test_rows_that_were_there_are_continued_and_left_as_they_are() -> None:
    before = {"A": Sum(position=0, key="A", total=Decimal(1)), "C": Sum(position=0, key="C", total=Decimal(5))}
    changed = summing().fold(before, DEPOSITS)
    assert totals(changed) == {"A": "1.02", "B": "0.01", HOUSE: "0.03"}
    assert totals(before) == {"A": "1", "C": "5"}


def test_an_event_whose_rows_are_unknown_is_begun_again_and_nothing_of_it_is_kept() -> None:
    taken: Taken = []
    folding = Folding(summing(taken), DEPOSITS)
    known: dict[str, Sum | None] = {"A": None, "B": None}
    assert list(folding.advance(known.__getitem__)) == [HOUSE]
    assert folding.changed == {}
    known[HOUSE] = None
    assert not folding.advance(known.__getitem__)
    assert totals(folding.changed) == {"A": "0.02", "B": "0.01", HOUSE: "0.03"}
    assert taken == [1, 1, 2, 3]


def test_what_came_before_an_unknown_row_is_kept_and_not_taken_again() -> None:
    taken: Taken = []
    folding = Folding(summing(taken), DEPOSITS)
    known: dict[str, Sum | None] = {"A": None, HOUSE: None}
    assert list(folding.advance(known.__getitem__)) == ["B"]
    assert totals(folding.changed) == {"A": "0.01", HOUSE: "0.01"}
    known["B"] = Sum(position=0, key="B", total=Decimal(7))
    assert not folding.advance(known.__getitem__)
    assert totals(folding.changed) == {"A": "0.02", "B": "7.01", HOUSE: "0.03"}
    assert taken == [1, 2, 2, 3]


def test_a_row_changed_in_the_page_is_never_asked_for() -> None:
    assert through(summing(), DEPOSITS, {}) == [["A"], [HOUSE], ["B"]]


def test_a_row_that_is_known_not_to_exist_is_not_unknown() -> None:
    rows: Rows[Sum] = Rows({"A": None}.__getitem__, {})
    assert rows["A"] is None
    with pytest.raises(Unknown) as caught:
        rows["B"]
    assert list(caught.value.keys) == ["B"]


def test_all_names_every_unknown_row_at_once() -> None:
    one, other = Sum(position=1, key="A", total=ZERO), Sum(position=2, key="B", total=ZERO)
    rows: Rows[Sum] = Rows({"A": one, "gone": None}.__getitem__, {"B": other})
    assert rows.all(["B", "gone", "A", "A"]) == [other, None, one, one]
    assert rows.all([]) == []
    with pytest.raises(Unknown) as caught:
        rows.all(["X", "A", "Y"])
    assert list(caught.value.keys) == ["X", "Y"]


def test_a_row_reads_as_the_event_and_the_page_have_left_it_also_when_removed() -> None:
    stored, page, event = (Sum(position=number, key="A", total=ZERO) for number in (1, 2, 3))
    rows: Rows[Sum] = Rows({"A": stored, "B": stored}.__getitem__, {"A": page, "B": None})
    assert (rows["A"], rows["B"]) == (page, None)
    rows["A"] = event
    assert (rows["A"], rows.changed) == (event, {"A": event})
    rows["A"] = None
    assert (rows["A"], rows.changed) == (None, {"A": None})


def test_a_removed_row_is_begun_anew_by_a_later_event() -> None:
    def apply(rows: Rows[Sum], recorded: Recorded) -> None:
        name = name_of(recorded)
        rows[name] = None if isinstance(recorded.event, StatusChanged) else added(rows[name], name, recorded)

    changed = StatusChanged(
        originator_id="portfolio/A", originator_version=3, timestamp=NOW, status="CLOSED"  # type: ignore[arg-type]
    )  # fmt: skip
    projector = Projector(view=SUMS, handles=frozenset({CashDeposited, StatusChanged}), apply=apply)
    page = recorded([deposited("A", 2, "0"), changed])
    assert projector.fold({}, page) == {"A": None}
    again = recorded([deposited("A", 2, "0"), changed, deposited("A", 4, "0")])
    assert totals(projector.fold({}, again)) == {"A": "0.01"}


def test_events_that_are_not_handled_are_passed_over() -> None:
    taken: Taken = []
    page = recorded([opened("A", "1"), deposited("A", 2, "0"), opened("B", "1")])
    assert set(summing(taken).fold({}, page)) == {"A", HOUSE}
    assert taken == [2]
    assert summing().fold({}, recorded([opened("A", "1")])) == {}


def test_an_event_that_cannot_be_taken_is_named_by_its_position_and_leaves_nothing() -> None:
    def read(rows: Rows[Sum], name: str) -> None:
        if name == "B":
            raise ZeroDivisionError("a defect")

    folding = Folding(summing(read=read), [changed(each, position=each.position + 40) for each in DEPOSITS])
    place = r"event 42 .*portfolio\.cash-deposited\.v1 of portfolio/B.* sums: ZeroDivisionError: a defect"
    with pytest.raises(Broken, match=place) as caught:
        folding.advance(lambda key: None)
    assert caught.value.position == 42
    assert totals(folding.changed) == {"A": "0.01", HOUSE: "0.01"}


def test_a_refusal_of_the_projectors_own_is_told_with_the_position_too() -> None:
    def read(rows: Rows[Sum], name: str) -> None:
        raise Broken("was never opened")

    with pytest.raises(Broken, match="never opened") as caught:
        summing(read=read).fold({}, DEPOSITS)
    assert caught.value.position == 1


def both_keys(recorded: Recorded) -> Iterable[str]:
    return (name_of(recorded), HOUSE)


def test_by_key_evolves_each_of_the_rows_named() -> None:
    def evolve(row: Sum | None, recorded: Recorded) -> Sum | None:
        if isinstance(recorded.event, PortfolioOpened):
            return None
        return added(row, "any", recorded)

    handles: frozenset[type[Event]] = frozenset({CashDeposited, PortfolioOpened})
    projector = Projector(view=SUMS, handles=handles, keys=both_keys, apply=by_key(both_keys, evolve))
    assert totals(projector.fold({}, DEPOSITS)) == {"A": "0.02", "B": "0.01", HOUSE: "0.03"}
    assert projector.fold({}, [*DEPOSITS, *recorded([opened("A")])])["A"] is None
    folding = Folding(projector, DEPOSITS)
    assert list(folding.advance({"A": None}.__getitem__)) == [HOUSE]
    assert folding.changed == {}


def test_the_keys_known_beforehand_are_those_of_handled_events() -> None:
    page = recorded([deposited("A", 2, "0"), opened("B", "1"), deposited("C", 2, "0"), deposited("A", 3, "0")])
    projector = Projector(
        view=SUMS, handles=frozenset({CashDeposited}), keys=both_keys, apply=by_key(both_keys, lambda row, _: row)
    )
    assert projector.reads(page) == {"A", "C", HOUSE}
    assert summing().reads(page) == set()
