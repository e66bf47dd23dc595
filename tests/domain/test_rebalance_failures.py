"""What a run keeps of its failures: each with its code and sentence, explanations while they fit into one event."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.codec import encode
from domain.rebalance import Explanation, Failure, Fix, Obstacle, Options, Reason, RebalanceRun, RebalanceRunFinished

NOW = datetime(2025, 6, 21, 10, tzinfo=UTC)
MIB = 1024 * 1024
SENTENCE = "no whole number of shares of TECH123456789012345678AB at 150.3383 lies in its band, 0.5 to 1.25; " * 3


def explained(number: int, securities: int = 100, sentence: str = SENTENCE) -> Failure:
    """A portfolio of which so many securities stand in the way, each with as many repairs as there ever are."""
    named = tuple(f"TECH{each:020}" for each in range(securities))
    fixes = tuple(Fix(set={"low_drift": Decimal(f"20.12345{each}")}, gives_quantity=Decimal(1)) for each in range(4))
    obstacles = tuple(
        Obstacle(
            security_id=name,
            price=Decimal("150.3383"),
            held=Decimal(0),
            target=Decimal("0.95"),
            low_drift=Decimal("0.2"),
            high_drift=Decimal("0.2"),
            min_shares=Decimal(2),
            max_shares=Decimal(1),
            reason=Reason.BAND_NARROWER_THAN_ONE_SHARE,
            fixes=fixes,
        )
        for name in named
    )
    return Failure(f"ACC-{number}", "no-feasible-solution", sentence, named, Explanation(securities=obstacles))


def finished(failures: list[Failure]) -> RebalanceRunFinished:
    run = RebalanceRun.requested(
        "a" * 32,
        model_id="5f1d7a0c2b9e4f6d8a3c1e07",
        model_name="Growth",
        model_version=3,
        positions=(),
        portfolios=[each.portfolio_id for each in failures],
        options=Options(),
        at=NOW,
    )
    run.finish(failures, NOW)
    event = run.collect_events()[-1]
    assert isinstance(event, RebalanceRunFinished)
    assert run.failures == event.failures
    return event


def test_few_failures_are_kept_whole() -> None:
    failures = [explained(1), Failure("B", "missing-price", "there is no price of X", ("X",)), explained(2, 3)]
    assert finished(failures).failures == tuple(failures)
    assert not any(each.left_out for each in failures)
    assert finished([]).failures == ()


def test_explanations_are_kept_in_the_order_of_the_portfolios_while_they_fit() -> None:
    failures = [explained(number) for number in range(500)]
    failures += [Failure("PRICED", "missing-price", "there is no price of X", ("X",)), explained(501, 1)]
    event = finished(failures)
    assert len(encode(event)) < 2 * MIB
    told = [not each.left_out for each in event.failures]
    first = told.index(False)
    assert first > 10
    assert told == [True] * first + [False] * (500 - first) + [True, False]
    assert event.failures[:first] == tuple(failures[:first])
    assert [(each.portfolio_id, each.code, each.detail) for each in event.failures] == [
        (each.portfolio_id, each.code, each.detail) for each in failures
    ]
    assert event.failures[first].securities == ()
    assert finished(failures) == event


@pytest.mark.parametrize("sentence", [SENTENCE * 30, '"\\\x00ü☂😀' * 900, "x" * MIB])
def test_the_largest_run_ends_in_an_event_well_below_8_mib(sentence: str) -> None:
    one = explained(0, 100, sentence)
    failures = [
        Failure(f"{number:0100}", "non-positive-market-value", sentence, one.securities, one.explanation)
        for number in range(10_000)
    ]
    event = finished(failures)
    assert 4 * MIB < len(encode(event)) < 6.5 * MIB
    for each in event.failures:
        assert sentence.startswith(each.detail[:-1])
        assert each.detail.endswith("…")
        assert len(each.detail.encode()) > 100


def test_a_sentence_without_end_is_cut() -> None:
    [cut] = finished([Failure("A", "broken", "x" * MIB)]).failures
    assert (cut.detail[-2:], cut.left_out) == ("x…", False)
    assert 4_000 < len(cut.detail) < 4_096
    assert finished([cut]).failures == (cut,)


def test_what_has_no_explanation_has_none_left_out() -> None:
    for code in ("not-found", "unavailable", "broken", "non-positive-market-value", "invalid-request"):
        assert not Failure("A", code, "said").left_out
    for code in ("no-feasible-solution", "missing-price", "short-holding"):
        assert Failure("A", code, "said").left_out
