"""The projector of the view of investment models: the models, and which of them each portfolio follows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never, cast, get_args

from msgspec.structs import replace

from domain.base import Recorded
from domain.errors import Broken
from domain.investment_model import (
    InvestmentModel,
    ModelCreated,
    ModelDeleted,
    ModelEvent,
    ModelPortfolioRemoved,
    ModelPortfoliosAdded,
    ModelPositionRemoved,
    ModelPositionSet,
    ModelReplaced,
)
from domain.rebalance import RebalanceRecorded
from projections.projector import Projector, Rows
from read_side.investment_model import INVESTMENT_MODELS, FollowedRow, InvestmentModelRow, ModelRow, followed_key


def model_id(recorded: Recorded) -> str:
    """Return the id of the model that the event is about."""
    if isinstance(recorded.event, RebalanceRecorded):
        return recorded.event.model_id
    return recorded.stream[len(InvestmentModel.TOPIC) + 1 :]


def keys(recorded: Recorded) -> list[str]:
    """Return the keys of the rows that the event is known to read: the model's, and those of portfolios it names."""
    event = recorded.event
    named: Iterable[str] = ()
    if isinstance(event, ModelCreated | ModelReplaced | ModelPortfoliosAdded):
        named = event.portfolios
    elif isinstance(event, ModelPortfolioRemoved):
        named = (event.portfolio_id,)
    return [model_id(recorded), *map(followed_key, named)]


def apply(rows: Rows[InvestmentModelRow], recorded: Recorded) -> None:
    """Change the model's row, and those of the portfolios that come to follow it or cease to.

    A rebalance of a model that is not there any more changes nothing.
    """
    event, key = cast(ModelEvent | RebalanceRecorded, recorded.event), model_id(recorded)
    before = cast("ModelRow | None", rows[key])
    if isinstance(event, RebalanceRecorded):
        if before is not None:
            rows[key] = replace(before, last_rebalance_date=event.timestamp, position=recorded.position)
        return
    after = _evolved(before, event, recorded)
    _follow(rows, before, after, recorded)
    rows[key] = after


def _evolved(row: ModelRow | None, event: ModelEvent, recorded: Recorded) -> ModelRow | None:
    """Return the model's row after this event of its own."""
    if isinstance(event, ModelCreated):
        return ModelRow(
            model_id=model_id(recorded),
            name=event.name,
            positions=event.positions,
            portfolios=event.portfolios,
            version=recorded.version,
            position=recorded.position,
        )
    if row is None:
        raise Broken(f"{recorded.stream} was never created")
    here = {"version": recorded.version, "position": recorded.position}
    match event:
        case ModelReplaced():
            return replace(row, name=event.name, positions=event.positions, portfolios=event.portfolios, **here)
        case ModelPositionSet(position=position):
            positions = {each.security_id: each for each in row.positions} | {position.security_id: position}
            return replace(row, positions=tuple(positions.values()), **here)
        case ModelPositionRemoved(security_id=gone):
            return replace(row, positions=tuple(each for each in row.positions if each.security_id != gone), **here)
        case ModelPortfoliosAdded(portfolios=portfolios):
            return replace(row, portfolios=(*row.portfolios, *portfolios), **here)
        case ModelPortfolioRemoved(portfolio_id=gone):
            return replace(row, portfolios=tuple(each for each in row.portfolios if each != gone), **here)
        case ModelDeleted():
            return None
        case _:
            assert_never(event)


def _follow(
    rows: Rows[InvestmentModelRow], before: ModelRow | None, after: ModelRow | None, recorded: Recorded
) -> None:
    """Change the rows of the portfolios that follow the model after this event and did not before, or the reverse."""
    old = frozenset(before.portfolios) if before is not None else frozenset()
    new = frozenset(after.portfolios) if after is not None else frozenset()
    key, concerned = model_id(recorded), sorted(old ^ new)
    for portfolio_id, row in zip(concerned, rows.all(map(followed_key, concerned)), strict=True):
        known = row.model_ids if isinstance(row, FollowedRow) else ()
        model_ids = (*known, key) if portfolio_id in new else tuple(each for each in known if each != key)
        followed = FollowedRow(portfolio_id=portfolio_id, model_ids=model_ids, position=recorded.position)
        rows[followed.key] = followed if model_ids else None


INVESTMENT_MODEL_PROJECTOR = Projector(
    view=INVESTMENT_MODELS,
    handles=frozenset({*get_args(ModelEvent), RebalanceRecorded}),
    keys=keys,
    apply=apply,
)
