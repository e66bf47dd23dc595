"""An investment model keeps the rules of seed 002, and a name belongs to one live model."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from domain.base import fold
from domain.codec import decode, decode_snapshot, encode, encode_snapshot
from domain.errors import AlreadyExists, Invalid, NotFound
from domain.investment_model import (
    InvestmentModel,
    LastPortfolio,
    ModelCreated,
    ModelDeleted,
    ModelName,
    ModelPortfolioRemoved,
    ModelPortfoliosAdded,
    ModelPositionRemoved,
    ModelPositionSet,
    ModelReplaced,
    NamePassedOn,
    NameReleased,
    NameTaken,
    wrong_drift,
    wrong_model_name,
    wrong_target,
)
from tests.domain.given import given
from tests.domain.models import BOND, GOLD, MODEL_ID, TECH, model, position, security
from tests.domain.portfolios import NOW


def pointers(refused: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [fault.pointer for fault in refused.value.faults]


def test_a_model_is_made_trimmed_and_without_positions_of_target_0() -> None:
    made = model(name=" Balanced ", positions=(position(GOLD, "0"), position()), portfolios=("P-2", "P-1"))
    (event,) = made.collect_events()
    assert isinstance(event, ModelCreated)
    assert (event.originator_id, event.originator_version) == (f"model/{MODEL_ID}", 1)
    assert (event.name, event.positions, event.portfolios) == ("Balanced", (position(),), ("P-2", "P-1"))
    assert (made.model_id, made.deleted) == (MODEL_ID, False)


def test_every_fault_is_named_at_once() -> None:
    positions = (
        position("short", "96", "5", "2"),
        position(BOND, "0.001", "-1", "100.1"),
        position(GOLD, "50", "1.0000001", "2"),
        position(GOLD, "50"),
    )
    with pytest.raises(Invalid) as refused:
        model(name=" ", positions=positions, portfolios=("P", "no id", "P"))
    assert pointers(refused) == [
        "/name",
        "/positions/0/security_id",
        "/positions/0/target",
        "/positions/0/high_drift",
        "/positions/1/target",
        "/positions/1/low_drift",
        "/positions/1/high_drift",
        "/positions/2/low_drift",
        "/positions/3/security_id",
        "/positions",
        "/portfolios/1",
        "/portfolios/2",
    ]


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"name": "x" * 201}, ["/name"]),
        ({"name": "a\0b"}, ["/name"]),
        ({"name": "a\ud800"}, ["/name"]),
        ({"portfolios": ()}, ["/portfolios"]),
        ({"portfolios": [f"P-{number}" for number in range(10_001)]}, ["/portfolios"]),
        ({"positions": [position(security(number), "0.9") for number in range(101)]}, ["/positions"]),
        ({"positions": [position(TECH, "60"), position(BOND, "35.005")]}, ["/positions"]),
        ({"positions": [position(TECH, "0"), position(TECH)]}, ["/positions/1/security_id"]),
    ],
)
def test_what_a_model_cannot_be(members: dict[str, Any], places: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        model(**members)
    assert pointers(refused) == places


def test_the_limits_are_taken() -> None:
    weighted = [position(security(number), "0.95", "0", "0") for number in range(100)]
    made = model(name="é" * 200, positions=[*weighted, *(position(security(n), "0") for n in range(100, 300))])
    assert (len(made.name), len(made.positions)) == (200, 100)
    assert model(positions=[position(TECH, "60"), position(BOND, "35")]).positions[BOND].target == 35
    assert model(positions=()).positions == {}


@drawn(st.decimals(min_value=-1, max_value=100, places=4))
def test_targets_are_multiples_of_half_a_basis_point(target: Decimal) -> None:
    in_steps = target * 1000 % 5 == 0
    assert (wrong_target(target) is None) == (0 <= target <= 95 and in_steps)


@pytest.mark.parametrize(
    ("drift", "taken"), [("0", True), ("100", True), ("0.000001", True), ("0.0000010", True), ("0.0000001", False)]
)
def test_drifts_have_up_to_six_places(drift: str, taken: bool) -> None:
    assert (wrong_drift(Decimal(drift)) is None) == taken


def test_names_are_what_can_be_shown() -> None:
    for name in ("a", "  a  ", "日本 / 株式", "a\u0301", "🙂"):
        assert wrong_model_name(name) is None, name
    for name in ("", " \t ", "a\tb", "a\u0085b", "\udfff"):
        assert wrong_model_name(name) is not None, name


def test_a_model_is_replaced_by_one_event_and_the_same_again_is_none() -> None:
    new = [position(BOND, "10"), position(GOLD, "0")]
    given(model()).when(lambda it: it.replace(" Growth ", new, ["P-2"], NOW)).then(
        (ModelReplaced, {"name": "Growth", "positions": (position(BOND, "10"),), "portfolios": ("P-2",)})
    )
    same = [position(target="60.000", low="2.0")]
    given(model()).when(lambda it: it.replace(" Balanced Portfolio", same, ["P-1"], NOW)).then()
    with pytest.raises(Invalid):
        model().replace("", [], [], NOW)


def test_positions_are_added_changed_and_removed() -> None:
    given(model()).when(lambda it: it.add_position(position(BOND, "35"), NOW)).then(
        (ModelPositionSet, {"position": position(BOND, "35")})
    )
    given(model()).when(lambda it: it.add_position(position(BOND, "0"), NOW)).then()
    given(model()).when(lambda it: it.change_position(position(TECH, "95"), NOW)).then(
        (ModelPositionSet, {"position": position(TECH, "95")})
    )
    given(model()).when(lambda it: it.change_position(position(), NOW)).then()
    given(model()).when(lambda it: it.change_position(position(TECH, "0"), NOW)).then(
        (ModelPositionRemoved, {"security_id": TECH})
    )
    given(model()).when(lambda it: it.remove_position(TECH, NOW)).then((ModelPositionRemoved, {"security_id": TECH}))


def test_a_position_has_to_fit_the_others() -> None:
    with pytest.raises(AlreadyExists, match="PUT changes it"):
        model().add_position(position(), NOW)
    with pytest.raises(Invalid, match=r"/target: would give the model targets of 95\.005 %"):
        model().add_position(position(BOND, "35.005"), NOW)
    with pytest.raises(Invalid, match="/high_drift: 2 is below low_drift, 5"):
        model().change_position(position(low="5", high="2"), NOW)
    full = model(positions=[position(security(number), "0.5") for number in range(100)])
    with pytest.raises(Invalid, match="would give the model 101 positions"):
        full.add_position(position(BOND, "1"), NOW)
    with pytest.raises(NotFound, match="has no position"):
        model().change_position(position(BOND, "1"), NOW)
    for missing in (BOND, "\0"):
        with pytest.raises(NotFound, match="has no position"):
            model().remove_position(missing, NOW)


def test_portfolios_come_and_go_but_the_last_one_stays() -> None:
    given(model()).when(lambda it: it.add_portfolios(["P-2", "P-1", "P-3", "P-2"], NOW)).then(
        (ModelPortfoliosAdded, {"portfolios": ("P-2", "P-3")})
    )
    given(model()).when(lambda it: it.add_portfolios(["P-1", "P-1"], NOW)).then()
    two = model(portfolios=("P-1", "P-2"))
    given(two).when(lambda it: it.remove_portfolio("P-1", NOW)).then((ModelPortfolioRemoved, {"portfolio_id": "P-1"}))
    assert two.portfolios == ("P-2",)
    given(two).when(lambda it: it.remove_portfolio("P-1", NOW)).then()
    with pytest.raises(LastPortfolio, match="P-2 is the last portfolio"):
        two.remove_portfolio("P-2", NOW)
    with pytest.raises(Invalid):
        two.add_portfolios(["no id"], NOW)
    with pytest.raises(Invalid, match="would give the model 10001 portfolios"):
        two.add_portfolios([f"X-{number}" for number in range(10_000)], NOW)


ACTS: list[Callable[[InvestmentModel], None]] = [
    lambda it: it.replace("n", [], ["P"], NOW),
    lambda it: it.add_position(position(BOND, "1"), NOW),
    lambda it: it.change_position(position(), NOW),
    lambda it: it.remove_position(TECH, NOW),
    lambda it: it.add_portfolios(["P"], NOW),
    lambda it: it.remove_portfolio("P-1", NOW),
    lambda it: it.delete(NOW),
]


@pytest.mark.parametrize("act", ACTS)
def test_a_deleted_model_is_not_there(act: Callable[[InvestmentModel], None]) -> None:
    gone = model()
    given(gone).when(lambda it: it.delete(NOW)).then((ModelDeleted, {"timestamp": NOW}))
    with pytest.raises(NotFound, match="does not exist"):
        act(gone)


def test_a_name_belongs_to_one_model_until_it_is_released() -> None:
    name = ModelName.first_taken("a/b c", "m1", NOW)
    assert (name.id, name.key) == ("model-name/a/b c", "a/b c")
    for another in ("m1", "m2"):
        with pytest.raises(AlreadyExists, match="the name 'a/b c' is taken by model m1"):
            name.take(another, NOW)
    (event,) = name.collect_events()
    assert isinstance(event, NameTaken)
    given(name).when(lambda it: it.release(NOW)).then((NameReleased, {}))
    given(name).when(lambda it: it.release(NOW)).then()
    given(name).when(lambda it: it.take("m2", NOW)).then((NamePassedOn, {"model_id": "m2"}))
    assert name.model_id == "m2"


def test_it_loads_as_it_was_from_events_and_from_a_snapshot() -> None:
    one = model(positions=(position(), position(BOND, "1.005", "0.000001", "100")), portfolios=("P-1", "P-2"))
    one.change_position(position(target="61"), NOW)
    one.remove_position(BOND, NOW)
    one.add_position(position(BOND, "0.005"), NOW)
    one.add_portfolios(["P-3"], NOW)
    one.remove_portfolio("P-1", NOW)
    one.replace("Other", [position(GOLD, "1"), position()], ["P-9"], NOW)
    events = one.collect_events()
    stored = [decode(event.TOPIC, encode(event), one.id, event.originator_version) for event in events]
    assert fold(stored) == one
    assert decode_snapshot(InvestmentModel, encode_snapshot(one), one.id, one.version) == one
    name = ModelName.first_taken("n", "m1", NOW)
    name.collect_events()
    assert decode_snapshot(ModelName, encode_snapshot(name), name.id, name.version) == name
