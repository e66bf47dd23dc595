"""Rebalances checked again from the log: what was altered is found, whatever the length of the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from domain.base import Event
from domain.errors import Broken, NotFound, NotYet
from domain.rebalance import (
    Proof,
    RebalanceDeleted,
    RebalanceRecorded,
    RebalanceRunPriced,
    RebalanceRunRequested,
    check,
    problem_of,
)
from domain.rebalance.checking import Violation
from read_side import rebalance_verification
from read_side.rebalance_verification import Verification, Verified, verified, verified_ones
from tests.api.doubles import AtOnce
from tests.api.memory_log import MemoryLog
from tests.projections.rebalancing import BOND, GOLD, MODEL, NOW, TECH, a_rebalance, a_run, random_rebalances, whole

Alter = Callable[[dict[str, Any]], object]


class UnreadableLog(MemoryLog):
    """A log with events that cannot be read."""

    unreadable: Sequence[int] = ()

    async def page(self, after: int, limit: int) -> list[Any]:
        page = await super().page(after, limit)
        bad = [number for number, each in enumerate(page) if each.position in self.unreadable]
        if bad == [] or bad[0] > 0:
            return page[: bad[0]] if bad else page
        raise Broken("it cannot be read", position=page[0].position)


def log_of(*events: Event) -> UnreadableLog:
    log = UnreadableLog()
    log.events.extend(events)
    log.times.extend(NOW for _ in events)
    return log


async def checks(log: MemoryLog) -> list[Verified]:
    return [each async for each in verified(log, log)]


def one(held: dict[str, str] | None = None) -> list[Event]:
    """A run of one portfolio that holds a fraction of something outside the model too."""
    run = a_run()
    rebalance = a_rebalance(run, "ACC-1", "100000", held or {TECH: "3.5", GOLD: "7"})
    run.finish((), NOW)
    begun, priced, finished = run.collect_events()
    return [begun, priced, *rebalance.collect_events(), finished]


def altered(kind: type[Event], **members: Any) -> list[Event]:
    return [replace(each, **members) if isinstance(each, kind) else each for each in one()]


def recorded_one() -> RebalanceRecorded:
    return next(each for each in one() if isinstance(each, RebalanceRecorded))


R = recorded_one()
CERTIFICATE = R.certificate


def all_sold() -> tuple[tuple[Violation, ...], dict[str, Any]]:
    """A result that keeps nothing of one security, agreeing with itself, which only the band forbids."""
    begun, priced = (each for each in one() if isinstance(each, RebalanceRunRequested | RebalanceRunPriced))
    assert isinstance(begun, RebalanceRunRequested)
    assert isinstance(priced, RebalanceRunPriced)
    problem = problem_of(R.cash_before, R.held, begun.positions, priced.prices, begun.options)
    quantities = {**R.quantities, TECH: Decimal(0)}
    breaches = tuple(check(problem, [quantities[line.security_id] for line in problem.lines]))
    forged = msgspec.structs.replace(
        CERTIFICATE,
        status=Proof.NEAREST,
        minimises="band-breach",
        objective=breaches[0].by,
        lower_bound=breaches[0].by,
        gap=Decimal(0),
        breaches=breaches,
    )
    cash = R.cash_after + R.quantities[TECH] * priced.prices[TECH]
    return breaches, {"quantities": quantities, "cash_after": cash, "certificate": forged}


BREACHES, FORGED = all_sold()


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_recorded_holds_whether_it_was_deleted_or_not(seed: int) -> None:
    events = random_rebalances(seed, 30)
    found = await checks(log_of(*events))
    recorded = [event.originator_id.split("/")[1] for event in events if isinstance(event, RebalanceRecorded)]
    assert len(recorded) > 50
    assert [each.rebalance_id for each in found] == recorded
    assert [each for each in found if each.faults] == []


@pytest.mark.parametrize(
    ("kind", "members", "told"),
    [
        (RebalanceRecorded, {"cash_before": Decimal(100001)}, "digest"),
        (RebalanceRecorded, {"cash_after": R.cash_after + Decimal("0.01")}, "cash afterwards"),
        (RebalanceRecorded, {"market_value": R.market_value + 1}, "market value"),
        (RebalanceRecorded, {"held": {**R.held, TECH: Decimal("3.6")}}, "digest"),
        (RebalanceRecorded, {"held": {TECH: Decimal("3.5")}}, GOLD),
        (RebalanceRecorded, {"quantities": {**R.quantities, TECH: R.quantities[TECH] - 1}}, "objective"),
        (RebalanceRecorded, {"quantities": {**R.quantities, TECH: R.quantities[TECH] * 2}}, "above-band"),
        (RebalanceRecorded, {"quantities": {**R.quantities, BOND: Decimal("301.5")}}, "not-whole"),
        (RebalanceRecorded, {"quantities": {**R.quantities, GOLD: Decimal(1)}}, "above-band"),
        (RebalanceRecorded, {"quantities": {**R.quantities, "X" * 24: Decimal(1)}}, "X" * 24),
        (RebalanceRecorded, {"quantities": {}}, BOND),
        (RebalanceRecorded, {"portfolio_id": "ACC-2"}, "not the rebalance of portfolio ACC-2"),
        (RebalanceRecorded, {"run_id": "f" * 32}, "is not in the log"),
        (RebalanceRecorded, {"model_id": "f" * 24}, "the model is"),
        (RebalanceRecorded, {"certificate": msgspec.structs.replace(CERTIFICATE, input_sha256="0" * 64)}, "digest"),
        (RebalanceRecorded, {"certificate": msgspec.structs.replace(CERTIFICATE, objective=Decimal(1))}, "objective"),
        (RebalanceRecorded, {"certificate": msgspec.structs.replace(CERTIFICATE, gap=Decimal("0.01"))}, "gap"),
        (
            RebalanceRecorded,
            {
                "certificate": msgspec.structs.replace(
                    CERTIFICATE, gap=Decimal("0.02"), lower_bound=CERTIFICATE.objective - Decimal("0.02")
                )
            },
            "OPTIMAL",
        ),
        (
            RebalanceRecorded,
            {
                "certificate": msgspec.structs.replace(
                    CERTIFICATE, gap=Decimal("0.01"), lower_bound=CERTIFICATE.objective - Decimal("0.01")
                )
            },
            "said to be the objective",
        ),
        (
            RebalanceRecorded,
            {"certificate": msgspec.structs.replace(CERTIFICATE, minimises="traded-value")},
            "the run asks for deviation",
        ),
        (RebalanceRecorded, {"certificate": msgspec.structs.replace(CERTIFICATE, options=("buy_only",))}, "options"),
        (RebalanceRecorded, {"certificate": msgspec.structs.replace(CERTIFICATE, breaches=BREACHES)}, "1 bands left"),
        (RebalanceRecorded, FORGED, "NEAREST, which the run did not ask for"),
        (RebalanceRecorded, {"held": {**R.held, TECH: Decimal("NaN")}}, "cannot be computed"),
        (RebalanceRunPriced, {"prices": {TECH: Decimal(150), BOND: Decimal(99), GOLD: Decimal(1)}}, "digest"),
        (RebalanceRunPriced, {"prices": {TECH: Decimal(150)}}, f"no price for {BOND}, {GOLD}"),
        (RebalanceRunRequested, {"portfolios": ("ACC-2",)}, "not among those of the run"),
        (RebalanceRunRequested, {"positions": ()}, BOND),
        (RebalanceRunRequested, {"model_id": "f" * 24}, f"the model is {MODEL}"),
        (RebalanceRunRequested, {"originator_topic": "portfolio"}, "its run"),
        (RebalanceRunRequested, {"originator_topic": "nothing"}, "its run"),
        (RebalanceRecorded, {"originator_topic": "nothing"}, "cannot be made"),
    ],
)
async def test_what_was_altered_is_found(kind: type[Event], members: dict[str, Any], told: str) -> None:
    events = altered(kind, **members)
    [found] = await checks(log_of(*events))
    assert told in "; ".join(found.faults)
    assert found.position == 3
    assert (await checks(log_of(*one())))[0].faults == ()


async def test_a_run_without_prices_or_without_beginning_is_told() -> None:
    begun, priced, recorded, _ = one()
    [unpriced] = await checks(log_of(begun, recorded))
    assert "no price" in unpriced.faults[0]
    [headless] = await checks(log_of(priced, recorded))
    assert "version 2 follows 0" in headless.faults[0]


async def test_what_cannot_be_read_is_told_and_the_rest_is_checked() -> None:
    log = log_of(*one(), *whole(2, ("A", "B")))
    log.unreadable = (2, 8)
    first, broken, unread, last = await checks(log)
    assert (first.rebalance_id, first.position, first.faults) == (None, 2, ("it cannot be read",))
    assert (broken.position, broken.faults != ()) == (3, True)
    assert (unread.position, unread.faults) == (7, ())
    assert (last.rebalance_id, last.position) == (None, 8)


async def test_runs_are_forgotten_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebalance_verification, "_RUNS", 2)
    monkeypatch.setattr(rebalance_verification, "_PAGE", 3)
    kept: list[int] = []
    keep = rebalance_verification._Runs._keep

    def counted(self: Any, stream: str, run: Any) -> None:
        keep(self, stream, run)
        kept.append(len(self._known))

    monkeypatch.setattr(rebalance_verification._Runs, "_keep", counted)
    events = random_rebalances(9, 40)
    found = await checks(log_of(*events))
    assert len(found) == sum(isinstance(event, RebalanceRecorded) for event in events)
    assert [each for each in found if each.faults] == []
    assert max(kept) == 2


async def test_those_named_are_checked_in_their_order() -> None:
    log = log_of(*whole(2, ("A", "B")), *altered(RebalanceRecorded, cash_after=Decimal(0)))
    made = [event.originator_id.split("/")[1] for event in log.events if isinstance(event, RebalanceRecorded)]
    named = [made[1], "none", made[2], "\0", made[0]]
    found = [each async for each in verified_ones(log, named)]
    assert [each.rebalance_id for each in found] == named
    assert [len(each.faults) for each in found] == [0, 1, 1, 1, 0]
    assert [each.position for each in found] == [4, 0, 8, 0, 3]


async def test_one_is_asked_for_as_the_log_has_it() -> None:
    log, signals = log_of(*one()), AtOnce()
    signals.hear_head(4)
    query, rebalance_id = Verification(log, signals), R.originator_id.split("/")[1]
    body = await query.json(rebalance_id, at_least=4)
    assert body.decode() == f'{{"rebalance_id":"{rebalance_id}","valid":true,"faults":[],"checked_at_position":4}}'
    for missing in ("none", "", "\0", "a/b"):
        with pytest.raises(NotFound):
            await query.json(missing)
    with pytest.raises(NotYet):
        await query.json(rebalance_id, at_least=5, wait=0)

    log.events[2] = altered(RebalanceRecorded, cash_after=Decimal(1))[2]
    told = msgspec.json.decode(await query.json(rebalance_id))
    assert (told["valid"], len(told["faults"])) == (False, 1)
    log.events[2] = altered(RebalanceRecorded, originator_topic="nothing")[2]
    assert msgspec.json.decode(await query.json(rebalance_id))["valid"] is False

    log.events[2] = one()[2]
    log.events.append(RebalanceDeleted(originator_id=R.originator_id, originator_version=2, timestamp=NOW))
    log.times.append(NOW)
    with pytest.raises(NotFound):
        await query.json(rebalance_id)
