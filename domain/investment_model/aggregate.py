"""The investment model: target weights with drift bands, and the portfolios that follow them (seed 002)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self, assert_never

from domain.base import Aggregate
from domain.errors import AlreadyExists, Fault, Invalid, NotFound, RuleViolated
from domain.investment_model.events import (
    ModelCreated,
    ModelDeleted,
    ModelEvent,
    ModelPortfolioRemoved,
    ModelPortfoliosAdded,
    ModelPositionRemoved,
    ModelPositionSet,
    ModelReplaced,
)
from domain.investment_model.rules import (
    MAX_PORTFOLIOS,
    ModelPosition,
    faults_between,
    portfolio_faults,
    position_faults,
    wrong_model_name,
    wrong_number,
    wrong_total,
)


class LastPortfolio(RuleViolated):
    """A model has to keep one portfolio at least."""

    code = "last-portfolio"


class InvestmentModel(Aggregate):
    """One model; its natural key is the ``model_id``, 24 hex digits."""

    TOPIC = "model"

    name: str
    positions: dict[str, ModelPosition]
    portfolios: tuple[str, ...]
    deleted: bool = False

    @classmethod
    def create(
        cls, model_id: str, name: str, positions: Sequence[ModelPosition], portfolios: Sequence[str], at: datetime
    ) -> Self:
        """Return a new model; raises ``Invalid`` naming every fault."""
        _check(name, positions, portfolios)
        return cls._create(
            ModelCreated,
            id=cls.stream(model_id),
            timestamp=at,
            name=name.strip(),
            positions=_weighted(positions),
            portfolios=tuple(portfolios),
        )

    @property
    def model_id(self) -> str:
        """The natural key."""
        return self.key

    def replace(self, name: str, positions: Sequence[ModelPosition], portfolios: Sequence[str], at: datetime) -> None:
        """Take another name, positions and portfolios; the same again change nothing. Raises ``Invalid``."""
        self._must_live()
        _check(name, positions, portfolios)
        new = (name.strip(), _weighted(positions), tuple(portfolios))
        if new != (self.name, tuple(self.positions.values()), self.portfolios):
            self.trigger_event(ModelReplaced, timestamp=at, name=new[0], positions=new[1], portfolios=new[2])

    def add_position(self, position: ModelPosition, at: datetime) -> None:
        """Add a security; raises ``AlreadyExists`` where it is there already, ``Invalid``."""
        self._must_live()
        if position.security_id in self.positions:
            raise AlreadyExists(f"model {self.model_id} has {position.security_id} already: PUT changes it")
        self._set(position, at)

    def change_position(self, position: ModelPosition, at: datetime) -> None:
        """Give a security of the model another target and drifts, with target 0 take it out.

        Raises ``NotFound`` for one that is not there, ``Invalid``.
        """
        self._must_live()
        self._must_have(position.security_id)
        self._set(position, at)

    def remove_position(self, security_id: str, at: datetime) -> None:
        """Take a security out; raises ``NotFound`` for one that is not there."""
        self._must_live()
        self._must_have(security_id)
        self.trigger_event(ModelPositionRemoved, timestamp=at, security_id=security_id)

    def add_portfolios(self, portfolios: Sequence[str], at: datetime) -> None:
        """Let portfolios follow the model; those that do already change nothing. Raises ``Invalid``."""
        self._must_live()
        faults = portfolio_faults(list(dict.fromkeys(portfolios)))
        new = tuple(each for each in dict.fromkeys(portfolios) if each not in self.portfolios)
        if not faults and len(self.portfolios) + len(new) > MAX_PORTFOLIOS:
            detail = f"would give the model {len(self.portfolios) + len(new)} portfolios, at most {MAX_PORTFOLIOS} are"
            faults.append(Fault("/portfolios", f"{detail} taken"))
        if faults:
            raise Invalid(*faults)
        if new:
            self.trigger_event(ModelPortfoliosAdded, timestamp=at, portfolios=new)

    def remove_portfolio(self, portfolio_id: str, at: datetime) -> None:
        """Let a portfolio not follow the model any more; one that does not changes nothing.

        Raises ``LastPortfolio`` for the last one.
        """
        self._must_live()
        if portfolio_id not in self.portfolios:
            return
        if len(self.portfolios) == 1:
            raise LastPortfolio(f"{portfolio_id} is the last portfolio of model {self.model_id}, which has to keep one")
        self.trigger_event(ModelPortfolioRemoved, timestamp=at, portfolio_id=portfolio_id)

    def delete(self, at: datetime) -> None:
        """Take the model away; its name is free then."""
        self._must_live()
        self.trigger_event(ModelDeleted, timestamp=at)

    def _must_live(self) -> None:
        if self.deleted:
            raise NotFound(f"model {self.model_id} does not exist")

    def _must_have(self, security_id: str) -> None:
        if security_id not in self.positions:
            raise NotFound(f"model {self.model_id} has no position {security_id[:100]!a}")

    def _set(self, position: ModelPosition, at: datetime) -> None:
        """Let the position be this one; without a target it is none."""
        faults = position_faults(position, "")
        together = [*(each for each in self.positions.values() if each.security_id != position.security_id), position]
        if not faults and (wrong := wrong_number(together)):
            faults.append(Fault("", f"would give the model {wrong}"))
        if not faults and (wrong := wrong_total(together)):
            faults.append(Fault("/target", f"would give the model {wrong}"))
        if faults:
            raise Invalid(*faults)
        if not position.target:
            if position.security_id in self.positions:
                self.trigger_event(ModelPositionRemoved, timestamp=at, security_id=position.security_id)
        elif self.positions.get(position.security_id) != position:
            self.trigger_event(ModelPositionSet, timestamp=at, position=position)

    def evolve(self, event: ModelEvent) -> None:
        match event:
            case ModelCreated() | ModelReplaced():
                self.name, self.portfolios = event.name, event.portfolios
                self.positions = {position.security_id: position for position in event.positions}
            case ModelPositionSet(position=position):
                self.positions[position.security_id] = position
            case ModelPositionRemoved(security_id=security_id):
                del self.positions[security_id]
            case ModelPortfoliosAdded(portfolios=portfolios):
                self.portfolios = (*self.portfolios, *portfolios)
            case ModelPortfolioRemoved(portfolio_id=portfolio_id):
                self.portfolios = tuple(each for each in self.portfolios if each != portfolio_id)
            case ModelDeleted():
                self.deleted = True
            case _:
                assert_never(event)


def _check(name: str, positions: Sequence[ModelPosition], portfolios: Sequence[str]) -> None:
    faults = [Fault("/name", wrong)] if (wrong := wrong_model_name(name)) else []
    for index, position in enumerate(positions):
        faults.extend(position_faults(position, f"/positions/{index}"))
    faults.extend(faults_between(positions))
    faults.extend(portfolio_faults(portfolios))
    if faults:
        raise Invalid(*faults)


def _weighted(positions: Sequence[ModelPosition]) -> tuple[ModelPosition, ...]:
    """Return the positions with a target: one without is dropped on save (contract "002")."""
    return tuple(position for position in positions if position.target)
