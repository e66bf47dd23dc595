"""What gives way where cash binds: pieces, the exact search, and the repair, against everything tried."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from write_side.optimiser.cover import Cover, Piece, Shortfall
from write_side.optimiser.exact import STAY, Choice
from write_side.optimiser.filling import _by_bits, _by_sums, fill
from write_side.optimiser.polish import greedy, repair
from write_side.optimiser.search import Search


def a_choice(*ranges: tuple[int, int], held: int = 0, target: int = 0, lot: int = 100, stay: bool = False) -> Choice:
    return Choice(lot, held, target, ranges, stay)


def pieces_of(choice: Choice, excess: int) -> list[tuple[int, int, int, int]]:
    """Return the pieces of a single line as (base, bonus, lot, most)."""
    nearest = choice.nearest()
    cover = Shortfall([choice], [nearest], choice.value(nearest) - excess).cover
    return [(piece.base, piece.bonus, piece.lot, piece.most) for piece in cover.pieces]


def test_what_is_below_the_nearest_pick_is_one_piece() -> None:
    assert pieces_of(a_choice((0, 5), target=490), 300) == [(100, 20, 100, 2)]


def test_no_bonus_where_the_nearest_pick_is_below_the_target() -> None:
    assert pieces_of(a_choice((0, 5), target=510), 300) == [(100, 0, 100, 2)]


def test_a_gap_cuts_the_piece_in_two_and_what_is_held_stands_between_them() -> None:
    choice = a_choice((0, 2), (6, 9), held=450, target=880, stay=True)
    assert pieces_of(choice, 900) == [(100, 40, 100, 2), (450, 40, 0, 0), (700, 40, 100, 2)]


def test_what_is_held_is_no_piece_of_its_own_where_it_is_a_number_of_lots() -> None:
    assert pieces_of(a_choice((0, 5), held=300, target=500, stay=True), 500) == [(100, 0, 100, 4)]


def test_no_piece_removes_more_than_is_of_use() -> None:
    choice = a_choice((0, 2), (6, 9), held=450, target=900, stay=True)
    assert pieces_of(choice, 250) == [(100, 0, 100, 2)]
    assert pieces_of(choice, 20) == [(100, 0, 0, 0)]


def test_the_excess_is_what_lots_can_remove() -> None:
    choices = [a_choice((0, 5), target=500), a_choice((0, 5), target=300, lot=60)]
    assert Shortfall(choices, [5, 5], 790).cover.excess == 20


def test_pieces_lead_back_to_picks() -> None:
    choices = [a_choice((0, 2), (6, 9), held=450, target=900, stay=True), a_choice((0, 3), target=300)]
    shortfall = Shortfall(choices, [9, 3], 200)
    assert shortfall.picks(()) == (9, 3)
    assert shortfall.picks(((0, 1),)) == (7, 3)
    assert shortfall.picks(((1, 0), (3, 2))) == (STAY, 0)
    assert shortfall.picks(((2, 2),)) == (0, 3)


def test_a_cover_takes_one_piece_a_line_and_enough() -> None:
    cover = Cover(10, (Piece(0, 6, 1, 2, 3), Piece(0, 14, 1, 0, 0), Piece(1, 4, 0, 0, 0)))
    assert cover.covers(((0, 2),))
    assert cover.cost(((0, 2),)) == 9
    assert not cover.covers(((0, 1),))
    assert not cover.covers(((0, 4),))
    assert not cover.covers(((0, 3), (1, 0)))
    assert not cover.covers(((3, 0),))
    assert not cover.covers(((-1, 0), (0, 3)))


def any_cover(random: Random) -> tuple[Cover, int]:
    """Return a cover of few pieces, and its least cost: everything tried."""
    pieces: list[Piece] = []
    for line in range(random.randint(1, 5)):
        base, bonus = 0, None
        for nth in range(random.choice([1, 1, 2, 3])):
            lot, most = random.randint(1, random.choice([10, 100, 5000])), random.randint(0, 3)
            base = lot if not nth and random.random() < 0.5 else base + random.randint(1, 200)
            if bonus is None:
                bonus = random.choice([0, random.randint(0, base)])
            pieces.append(Piece(line, base, bonus, lot if most else 0, most))
            base += lot * most
    ways: dict[int, list[tuple[int, int]]] = {}
    for piece in pieces:
        ways.setdefault(piece.line, [(0, 0)]).extend(
            (piece.base + count * piece.lot, piece.price + count * piece.lot) for count in range(piece.most + 1)
        )
    room = sum(max(removed for removed, _ in way) for way in ways.values())
    cover = Cover(random.randint(1, max(1, room * random.choice([1, 10, 20]) // 20)), tuple(pieces))
    fitting = (
        sum(cost for _, cost in each)
        for each in product(*ways.values())
        if sum(removed for removed, _ in each) >= cover.excess
    )
    return cover, min(fitting)


@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_and_proves_the_least_cost(seed: int) -> None:
    random = Random(seed)
    for _ in range(150):
        cover, least = any_cover(random)
        search = Search(cover, 0)
        assert search.relaxation <= least <= search.cost
        while not search.proven:
            search.run(20)
            assert search.lower_bound <= least <= search.cost
        assert cover.covers(search.best)
        assert (cover.cost(search.best), search.cost) == (least, least)


def test_what_is_better_by_no_more_than_the_tolerance_is_not_looked_for() -> None:
    random = Random(7)
    for _ in range(200):
        cover, least = any_cover(random)
        search = Search(cover, 5)
        search.run(100_000)
        assert search.proven
        assert least <= search.cost <= least + 5


@pytest.mark.parametrize("seed", range(3))
def test_within_the_tolerance_no_cover_costs_less_than_the_bound(seed: int) -> None:
    random, within = Random(seed), 0
    for _ in range(200):
        cover, least = any_cover(random)
        tolerance = random.choice([1, 5, 50, 500])
        search = Search(cover, tolerance)
        while not search.proven:
            assert search.lower_bound <= least
            search.run(20)
        search.run(1_000)
        assert search.lower_bound <= least <= search.cost <= search.lower_bound + tolerance
        within += least < search.cost
    assert within > 5


def test_the_search_ends_at_its_limit_with_a_cover_and_goes_on_from_there() -> None:
    cover = Cover(9_990, tuple(Piece(line, 700 + 13 * line, 150 + line, 0, 0) for line in range(25)))
    short, at_once, in_parts = Search(cover, 0), Search(cover, 0), Search(cover, 0)
    short.run(10)
    assert cover.covers(short.best)
    assert not short.proven
    at_once.run(3_000)
    for _ in range(300):
        in_parts.run(10)
    assert (in_parts.best, in_parts.lower_bound) == (at_once.best, at_once.lower_bound)


def test_a_filling_that_is_not_known_to_be_the_least_proves_nothing() -> None:
    random, unproven = Random(1), 0
    for _ in range(5):
        lots = [random.randint(10**9, 10**10) for _ in range(8)]
        cover = Cover(sum(lots) + 7, tuple(Piece(line, lot, 0, lot, 2) for line, lot in enumerate(lots)))
        sums = {0}
        for lot in lots:
            sums = {total + lot * count for total in sums for count in range(4)}
        least = min(total for total in sums if total >= cover.excess)
        search = Search(cover, 0)
        search.run(100_000)
        assert search.lower_bound <= least <= search.cost
        unproven += not search.proven
    assert unproven


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_repaired_is_a_cover_with_nothing_superfluous(seed: int) -> None:
    random = Random(seed)
    for _ in range(200):
        cover, least = any_cover(random)
        wild = tuple((random.randrange(len(cover.pieces)), random.randint(-3, 9)) for _ in range(random.randint(0, 5)))
        repaired = repair(cover, wild, 0)
        assert cover.covers(repaired)
        assert cover.cost(repaired) >= least
        for at in range(len(repaired)):
            assert not cover.covers(repaired[:at] + repaired[at + 1 :])


def test_a_repair_takes_the_least_out_of_reach_of_single_changes() -> None:
    cover = Cover(
        100_003, tuple(Piece(line, lot, 0, lot, 40) for line, lot in enumerate((977, 1009, 1201, 1303, 1409)))
    )
    taken = repair(cover, tuple((index, 1) for index in range(5)), 0)
    assert cover.removed(taken) == 100_003


def test_there_is_a_cover_where_everything_is_needed() -> None:
    cover = Cover(60, (Piece(0, 5, 2, 0, 0), Piece(0, 20, 2, 5, 2), Piece(1, 30, 0, 0, 0)))
    assert greedy(cover) == ((1, 2), (2, 0))


@pytest.mark.parametrize(("need", "lots", "total"), [
    (1, [(7, 3), (5, 2)], 5),
    (13, [(7, 3), (5, 2)], 14),
    (29, [(7, 3), (5, 2)], 31),
    (1_000_001, [(300_007, 4), (210_011, 9), (99_991, 3)], 1_000_012),
])  # fmt: skip
def test_a_filling_is_the_least_that_is_enough(need: int, lots: list[tuple[int, int]], total: int) -> None:
    reach = {0}
    for lot, most in lots:
        reach = {each + lot * count for each in reach for count in range(most + 1)}
    assert min(each for each in reach if each >= need) == total, "the test itself"
    counts, exact = fill(need, lots, 0)
    assert exact
    assert sum(lot * count for (lot, _), count in zip(lots, counts, strict=True)) == total


def test_both_ways_to_try_every_sum_find_the_least() -> None:
    random = Random(3)
    for _ in range(200):
        lots = [(10 * random.randint(1, 60), random.randint(1, 5), place) for place in range(random.randint(1, 4))]
        reach = {0}
        for lot, most, _ in lots:
            reach = {each + lot * count for each in reach for count in range(most + 1)}
        need = random.randint(1, max(reach))
        least = min(each for each in reach if each >= need)
        for taken in (_by_sums(need, lots, 10_000, 0), _by_bits(need, lots, 10_000)):
            assert taken is not None
            assert sum(lots[place][0] * count for place, count in taken) == least
            assert all(sum(c for p, c in taken if p == place) <= most for _, most, place in lots)
        assert _by_sums(need, lots, least - need, 0) == []
        if need == least:
            assert _by_bits(need, lots, 0) == []
