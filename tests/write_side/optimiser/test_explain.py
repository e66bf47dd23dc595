"""Why a problem has no allowed quantities: the reasons, the figures, the repairs and the sentence for people."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.rebalance import Fix, Mode, Problem, Reason
from tests.write_side.optimiser.deciding import after, feasible, firsts, problem_of
from write_side.optimiser import explain as explaining
from write_side.optimiser.explain import explain
from write_side.optimiser.trials import NOTHING, Trial

FIRST, SECOND = "S" + "0" * 23, "S" + "0" * 22 + "1"


def drifts(low: str | None = None, high: str | None = None, target: str | None = None) -> dict[str, Decimal]:
    told = {"target": target, "low_drift": low, "high_drift": high}
    return {name: Decimal(figure) for name, figure in told.items() if figure is not None}


@pytest.mark.parametrize(
    ("problem", "security", "shares", "fixes"),
    [
        pytest.param(
            problem_of("95000", ("400", "50", "0.1", "0.1"), ("400", "40", "0.1", "0.1")),
            FIRST,
            ("119", "118"),
            [
                (drifts(high="0.105264"), "119"),
                (drifts(target="50.01"), "119"),
                (drifts(target="49.78"), "118"),
            ],
            id="conflicting_constraints",
        ),
        pytest.param(
            problem_of("1200000", ("999999.99", "1", "0.5", "1"), ("0.01", "89", "5", "5")),
            FIRST,
            ("1", "0"),
            [(drifts(low="1"), "0"), (drifts(target="0.5"), "0")],
            id="numerical_stability_extreme",
        ),
        pytest.param(
            problem_of("160", ("50", "60", "5", "5"), ("100", "30", "3", "3")),
            SECOND,
            ("1", "0"),
            [(drifts(low="30", high="30"), "0"), (drifts(target="3"), "0")],
            id="zero_current",
        ),
        pytest.param(
            problem_of("1050", ("1000", "95", "0.1", "0.1")),
            FIRST,
            ("1", "0"),
            [(drifts(high="0.238096"), "1"), (drifts(target="0.1"), "0")],
            id="infeasible_tight",
        ),
    ],
)
def test_a_share_wider_than_its_band(
    problem: Problem, security: str, shares: tuple[str, str], fixes: list[tuple[dict[str, Decimal], str]]
) -> None:
    explanation = explain(problem).explanation
    (obstacle,) = explanation.securities
    assert (obstacle.security_id, obstacle.reason) == (security, Reason.BAND_NARROWER_THAN_ONE_SHARE)
    assert (obstacle.min_shares, obstacle.max_shares) == tuple(map(Decimal, shares))
    assert [(fix.set, fix.gives_quantity) for fix in obstacle.fixes] == [(fix, Decimal(gives)) for fix, gives in fixes]
    assert explanation.short_by is None


def test_minimum_holdings_above_cash() -> None:
    problem = problem_of("100000", ("100", "60", "2", "2"), ("50", "32", "1", "1"), min_cash=Decimal("12000"))
    refusal = explain(problem)
    explanation = refusal.explanation
    figures = (explanation.short_by, explanation.minimum_value, explanation.spendable)
    assert figures == (Decimal(1000), Decimal(89000), Decimal(88000))
    assert {each.reason for each in explanation.securities} == {Reason.MINIMUM_HOLDINGS_EXCEED_CASH}
    assert [[fix.set for fix in each.fixes] for each in explanation.securities] == [
        [drifts(low="3", high="3"), drifts(target="59")],
        [drifts(low="2", high="2"), drifts(target="31")],
    ]
    assert [fix.set for fix in explanation.fixes] == [{"min_cash": Decimal(11000)}, {"low_drift": Decimal(2)}]
    assert str(refusal) == (
        "the least that the bands leave costs 89000, 1000 more than the 88000 that may be spent with 12000 kept in "
        f"cash; the most of it is 58000 of {FIRST}, 31000 of {SECOND}"
    )


def test_many_minimum_holdings_that_have_to_give_way_together() -> None:
    lines = [("10", "4.75", "0.5", "0.5")] * 20
    problem = problem_of("100000", *lines, min_cash_percent=Decimal("40"))
    explanation = explain(problem).explanation
    assert explanation.short_by == 25000
    assert len(explanation.securities) == 10
    first = firsts(explanation)
    assert not feasible(after(problem, {FIRST: first[FIRST]})), "one alone is not enough"
    assert feasible(after(problem, first))
    assert [fix.set for fix in explanation.fixes] == [{"min_cash_percent": Decimal(15)}, {"low_drift": Decimal("1.75")}]


def test_of_those_that_give_way_together_none_gives_up_more_than_is_missing() -> None:
    # 550 are missing; the first can only give up its one share of 400, so the second gives up 150 and not all it can
    problem = problem_of("1000", ("400", "40", "1", "40"), ("10", "45", "5", "45"), min_cash=Decimal("750"))
    explanation = explain(problem).explanation
    assert explanation.short_by == 550
    assert {name: fix.set for name, fix in firsts(explanation).items()} == {
        FIRST: drifts(low="40"),
        SECOND: drifts(low="20"),
    }


@pytest.mark.parametrize(
    ("problem", "option", "fixes"),
    [
        pytest.param(
            problem_of("100000", ("100", "60", "2", "2"), held=("700",), do_not_trade=(FIRST,)),
            "do_not_trade",
            [Fix(drop=("do_not_trade",)), Fix(set=drifts(high="10")), Fix(set=drifts(target="68"))],
            id="do_not_trade",
        ),
        pytest.param(
            problem_of("100000", ("100", "60", "2", "2"), held=("700",), buy_only=True),
            "buy_only",
            [Fix(set=drifts(high="10")), Fix(set=drifts(target="68")), Fix(drop=("buy_only",))],
            id="buy_only",
        ),
        pytest.param(
            problem_of("100000", ("100", "60", "2", "2"), held=("300",), sell_only=True),
            "sell_only",
            [Fix(set=drifts(low="30", high="30")), Fix(set=drifts(target="32")), Fix(drop=("sell_only",))],
            id="sell_only",
        ),
        pytest.param(
            problem_of("100000", ("100", "60", "2", "2"), lot_size={FIRST: Decimal(130)}),
            "lot_size",
            [
                Fix(drop=("lot_size",)),
                Fix(set=drifts(high="5")),
                Fix(set=drifts(target="63")),
                Fix(set=drifts(target="54")),
            ],
            id="lot_size",
        ),
    ],
)
def test_an_option_that_makes_it_impossible(problem: Problem, option: str, fixes: list[Fix]) -> None:
    explanation = explain(problem).explanation
    (obstacle,) = explanation.securities
    assert (obstacle.reason, obstacle.option) == (Reason.OPTION, option)
    assert [(fix.set, fix.drop) for fix in obstacle.fixes] == [(fix.set, fix.drop) for fix in fixes]
    assert [fix.drop for fix in explanation.fixes] == [(option,)]


def test_what_is_held_outside_the_model_and_may_not_be_sold_can_be_taken_into_it() -> None:
    problem = problem_of(
        "10000", ("10", "0", "0", "0"), ("10", "80", "2", "2"), held=("123", "0"), do_not_trade=(FIRST,)
    )
    (obstacle,) = explain(problem).explanation.securities
    assert [(fix.set, fix.drop, fix.gives_quantity) for fix in obstacle.fixes] == [
        ({}, ("do_not_trade",), Decimal(0)),
        (drifts("0", "0", "12.3"), (), Decimal(123)),
    ]


def test_what_is_inside_its_band_is_not_sold_for_cash_by_breached_only() -> None:
    problem = problem_of(
        "10000", ("100", "60", "5", "5"), ("10", "39", "5", "5"), held=("62", "390"), mode=Mode.BREACHED_ONLY
    )
    assert problem.cash == -100
    explanation = explain(problem).explanation
    assert explanation.short_by == 100
    assert [each.option for each in explanation.securities] == ["mode", "mode"]
    assert [fix.drop for fix in explanation.fixes] == [("mode",)]


def test_the_most_cash_that_can_be_kept_is_offered_to_the_cent() -> None:
    problem = problem_of("1000", ("33.333", "60", "5", "5"), min_cash=Decimal("900"))
    explanation = explain(problem).explanation
    assert {"min_cash": Decimal("433.33")} in [fix.set for fix in explanation.fixes]  # 17 shares cost 566.661


def test_what_a_narrow_band_and_little_cash_need_together_is_offered_together() -> None:
    # the first band has no share, the second leaves no cash for one
    problem = problem_of("1000", ("400", "30", "5", "5"), ("10", "65", "1", "20"), min_cash=Decimal("300"))
    explanation = explain(problem).explanation
    assert explanation.securities[0].reason is Reason.BAND_NARROWER_THAN_ONE_SHARE
    assert feasible(after(problem, firsts(explanation)))


def test_several_options_are_given_up_where_one_is_not_enough() -> None:
    problem = problem_of(
        "1000", ("100", "50", "5", "5"), held=("6",), do_not_trade=(FIRST,), buy_only=True, min_cash=Decimal("100")
    )
    (obstacle,) = explain(problem).explanation.securities
    assert obstacle.reason is Reason.OPTION
    assert ((), ("do_not_trade", "buy_only")) in [(tuple(fix.set), fix.drop) for fix in obstacle.fixes]


def test_a_message_names_the_first_securities_and_counts_the_others() -> None:
    problem = problem_of("1000", *[("400", "15", "1", "1")] * 5)
    refusal = explain(problem)
    assert str(refusal).startswith(
        f"no whole number of shares of {FIRST} at 400 lies in its band, 140 to 160; no whole"
    )
    assert str(refusal).endswith("; 2 more securities have no quantity")
    assert refusal.securities == tuple(line.security_id for line in problem.lines)


def test_a_problem_with_allowed_quantities_is_not_explained() -> None:
    with pytest.raises(ValueError, match="has allowed quantities"):
        explain(problem_of("1000", ("100", "50", "5", "5")))


def test_what_is_missing_may_be_finer_than_whole_shares_of_what_could_give_way() -> None:
    problem = problem_of(
        "1000",
        ("33", "50", "5", "5"),
        ("1", "45", "5", "5"),
        min_cash=Decimal("200"),
        lot_size={FIRST: Decimal("0.00000007")},
    )
    explanation = explain(problem).explanation
    assert explanation.short_by == Decimal("50.00000045")
    assert feasible(after(problem, firsts(explanation)))


def of_many(count: int) -> Problem:
    """Return a problem in which so many securities are held that may not be sold and are not in the model."""
    lines = [("10", "0", "0", "0")] * count
    return problem_of("100000", ("7", "40", "1", "1"), *lines, held=("0", *["3"] * count), buy_only=True)


def tries_for(count: int) -> int:
    asked = 0

    class Counted(Trial):
        def least(self, place: int, fix: Fix = NOTHING, drops: frozenset[str] = frozenset()) -> Decimal | None:
            nonlocal asked
            asked += 1
            return super().least(place, fix, drops)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(explaining, "Trial", Counted)
        found = explain(of_many(count)).explanation
    assert [len(each.fixes) for each in found.securities] == [2] * count
    return asked


def test_twice_as_many_securities_are_no_more_than_twice_as_much_to_try() -> None:
    assert tries_for(80) < 2.5 * tries_for(40)


def test_of_too_many_securities_no_repairs_are_looked_for() -> None:
    found = explain(of_many(1_001)).explanation
    assert {(each.option, each.fixes) for each in found.securities} == {("buy_only", ())}
    assert len(found.securities) == 1_001
    assert [fix.drop for fix in found.fixes] == [("buy_only",)]


@pytest.mark.parametrize(
    "problem",
    [
        of_many(6),
        problem_of("100000", ("100", "60", "2", "2"), ("50", "32", "1", "1"), min_cash=Decimal("12000")),
        problem_of("1000", ("400", "30", "5", "5"), ("10", "65", "1", "20"), min_cash=Decimal("300")),
    ],
    ids=["options", "cash", "both"],
)
def test_what_is_found_before_the_time_is_over_repairs_and_the_reasons_are_told_whenever_that_is(
    problem: Problem,
) -> None:
    everything, asked, limit = explain(problem), 0, 0

    def over() -> bool:
        nonlocal asked
        asked += 1
        return asked > limit

    while True:
        asked = 0
        found = explain(problem, over)
        assert [each.reason for each in found.explanation.securities] == [
            each.reason for each in everything.explanation.securities
        ]
        assert all(feasible(after(problem, {}, fix)) for fix in found.explanation.fixes)
        first = firsts(found.explanation)
        assert not first or feasible(after(problem, first))
        if not limit:
            assert not first
            assert not found.explanation.fixes
        if asked <= limit:
            break
        limit += 1
    assert found.explanation == everything.explanation
