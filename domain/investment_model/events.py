"""What happens to an investment model."""

from __future__ import annotations

from typing import TypeAlias

from domain.base import Created, Event
from domain.investment_model.rules import ModelPosition


class ModelCreated(Created):
    """A model was made; positions with target 0 are not in it."""

    TOPIC = "model.created.v1"
    name: str
    positions: tuple[ModelPosition, ...]
    portfolios: tuple[str, ...]


class ModelReplaced(Event):
    """Name, positions and portfolios are these now."""

    TOPIC = "model.replaced.v1"
    name: str
    positions: tuple[ModelPosition, ...]
    portfolios: tuple[str, ...]


class ModelPositionSet(Event):
    """A security was added to the model, or has another target or drifts."""

    TOPIC = "model.position-set.v1"
    position: ModelPosition


class ModelPositionRemoved(Event):
    """A security was taken from the model."""

    TOPIC = "model.position-removed.v1"
    security_id: str


class ModelPortfoliosAdded(Event):
    """These portfolios, which did not, follow the model."""

    TOPIC = "model.portfolios-added.v1"
    portfolios: tuple[str, ...]


class ModelPortfolioRemoved(Event):
    """A portfolio does not follow the model any more."""

    TOPIC = "model.portfolio-removed.v1"
    portfolio_id: str


class ModelDeleted(Event):
    """The model is gone, and its name is free."""

    TOPIC = "model.deleted.v1"


ModelEvent: TypeAlias = (
    ModelCreated
    | ModelReplaced
    | ModelPositionSet
    | ModelPositionRemoved
    | ModelPortfoliosAdded
    | ModelPortfolioRemoved
    | ModelDeleted
)
