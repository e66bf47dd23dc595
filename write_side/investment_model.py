"""The commands on investment models (seed 002); a model and the reservations of its names are stored together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from domain.base import Aggregate
from domain.errors import Broken, NotFound, Overloaded, Refused, StaleVersion, VersionConflict
from domain.investment_model import InvestmentModel, ModelName, ModelPosition, wrong_model_name
from write_side.event_store import Done, EventStore
from write_side.log import ANY_VERSION, Context

_ATTEMPTS = 20
Loaded = Sequence[Aggregate | None]


def model_id_of(context: Context) -> str:
    """Return the id that a model has which this command creates: the first 24 hex digits of the command's id."""
    return context.command_id.hex[:24]


@dataclass(frozen=True, kw_only=True)
class CreateModel:
    """Make a model under a name that no other live one has."""

    name: str
    positions: tuple[ModelPosition, ...]
    portfolios: tuple[str, ...]

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]:
        """Raises ``Invalid``, ``AlreadyExists``, and what ``change_all`` raises.

        Under any ``If-Match`` that is ``StaleVersion``: nothing new can meet it.
        """
        model_id = model_id_of(context)
        model = InvestmentModel.create(model_id, self.name, self.positions, self.portfolios, now)

        def decide(loaded: Loaded) -> list[Aggregate]:
            if context.expected_version is not None:
                raise StaleVersion(model.id, context.expected_version or None, 0)
            return [model.copy(), _taken(loaded[1], model.name, model_id, now)]

        done = await store.change_all([(InvestmentModel, model_id), (ModelName, model.name)], decide, context)
        return cast("Done[InvestmentModel]", done)


@dataclass(frozen=True, kw_only=True)
class ReplaceModel:
    """Give a model another name, positions and portfolios; ``version`` is the one the caller has read."""

    model_id: str
    name: str
    positions: tuple[ModelPosition, ...]
    portfolios: tuple[str, ...]
    version: int | None = None

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]:
        """The same again are no event.

        Raises ``Invalid``, ``NotFound``, ``StaleVersion``, ``VersionConflict``, ``AlreadyExists`` for a name that
        another live model has, and what ``change_all`` raises.
        """

        def replace(model: InvestmentModel) -> None:
            model.replace(self.name, self.positions, self.portfolios, now)

        return await _change(store, context, self.model_id, replace, self.version, now, name=self.name.strip())


@dataclass(frozen=True, kw_only=True)
class DeleteModel:
    """Take a model away and free its name."""

    model_id: str
    version: int | None = None

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]:
        """Raises ``NotFound``, ``StaleVersion``, ``VersionConflict`` and what ``change_all`` raises."""
        return await _change(store, context, self.model_id, lambda model: model.delete(now), self.version, now, name="")


@dataclass(frozen=True, kw_only=True)
class AddPosition:
    """Put a security that is not there into a model."""

    model_id: str
    position: ModelPosition
    version: int | None = None

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]:
        """Raises ``AlreadyExists``, ``Invalid``, ``NotFound``, ``StaleVersion``, ``VersionConflict`` and as above."""

        def add(model: InvestmentModel) -> None:
            model.add_position(self.position, now)

        return await _change(store, context, self.model_id, add, self.version, now)


@dataclass(frozen=True, kw_only=True)
class ChangePosition:
    """Give a security of a model another target and drifts; with target 0 it is taken out."""

    model_id: str
    position: ModelPosition
    version: int | None = None

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]:
        """Raises ``NotFound``, ``Invalid``, ``StaleVersion``, ``VersionConflict`` and what ``change_all`` raises."""

        def change(model: InvestmentModel) -> None:
            model.change_position(self.position, now)

        return await _change(store, context, self.model_id, change, self.version, now)


@dataclass(frozen=True, kw_only=True)
class RemovePosition:
    """Take a security out of a model."""

    model_id: str
    security_id: str
    version: int | None = None

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]:
        """Raises ``NotFound``, ``StaleVersion``, ``VersionConflict`` and what ``change_all`` raises."""

        def remove(model: InvestmentModel) -> None:
            model.remove_position(self.security_id, now)

        return await _change(store, context, self.model_id, remove, self.version, now)


@dataclass(frozen=True, kw_only=True)
class AddPortfolios:
    """Let portfolios follow a model; those that do already change nothing."""

    model_id: str
    portfolios: tuple[str, ...]
    version: int | None = None

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]:
        """Raises ``Invalid``, ``NotFound``, ``StaleVersion``, ``VersionConflict`` and what ``change_all`` raises."""

        def add(model: InvestmentModel) -> None:
            model.add_portfolios(self.portfolios, now)

        return await _change(store, context, self.model_id, add, self.version, now)


@dataclass(frozen=True, kw_only=True)
class RemovePortfolio:
    """Let a portfolio not follow a model any more; one that does not changes nothing."""

    model_id: str
    portfolio_id: str
    version: int | None = None

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]:
        """Raises ``LastPortfolio``, ``NotFound``, ``StaleVersion``, ``VersionConflict`` and as above."""

        def remove(model: InvestmentModel) -> None:
            model.remove_portfolio(self.portfolio_id, now)

        return await _change(store, context, self.model_id, remove, self.version, now)


class _CalledOtherwise(Refused):
    """Model and reservations, which are read one after the other, do not go together; nothing was decided.

    One of them comes from the cache and is stale, or another command has renamed the model in between. ``name`` is the
    one it seems to have.
    """

    code = "called-otherwise"

    def __init__(self, name: str) -> None:
        super().__init__(f"the model seems to be called {name!r}")
        self.name = name


async def _change(
    store: EventStore,
    context: Context,
    model_id: str,
    act: Callable[[InvestmentModel], None],
    version: int | None,
    now: datetime,
    *,
    name: str | None = None,
) -> Done[InvestmentModel]:
    """Let ``act`` change the model, which is to be called ``name`` then: None keeps its name, an empty one frees it.

    Which reservations are to be loaded follows from the model's present name: where another command has renamed it in
    between, they are loaded again.
    """
    if name is None or (name and wrong_model_name(name)):
        return await _attempt(store, context, model_id, act, version, now)
    known = (await store.load_many(InvestmentModel, [model_id])).get(model_id)
    present = known.name if known is not None and not known.deleted else name
    for _ in range(_ATTEMPTS):
        try:
            return await _attempt(store, context, model_id, act, version, now, names=(present, name))
        except _CalledOtherwise as moved:
            present = moved.name
    raise Overloaded(f"model {model_id} was renamed by others {_ATTEMPTS} times while this command was decided")


async def _attempt(
    store: EventStore,
    context: Context,
    model_id: str,
    act: Callable[[InvestmentModel], None],
    version: int | None,
    now: datetime,
    *,
    names: tuple[str, str] | None = None,
) -> Done[InvestmentModel]:
    """Do it once, with the reservations of these names where they differ: the present one, and the one wanted."""
    before, after = names or ("", "")
    moving = [each for each in dict.fromkeys((after, before)) if each] if before != after else []

    def decide(loaded: Loaded) -> list[Aggregate]:
        model = _checked(loaded[0], model_id, context, version)
        if names is not None and model.name != before:
            raise _CalledOtherwise(model.name)
        act(model)
        reservations = dict(zip(moving, loaded[1:], strict=True))
        changed: list[Aggregate] = [model]
        if after in reservations:
            changed.append(_taken(reservations[after], after, model_id, now))
        if before in reservations:
            changed.append(_released(reservations[before], before, model_id, now))
        return changed

    wanted: list[tuple[type[Aggregate], str]] = [(InvestmentModel, model_id), *((ModelName, each) for each in moving)]
    return cast("Done[InvestmentModel]", await store.change_all(wanted, decide, context))


def _checked(loaded: Aggregate | None, model_id: str, context: Context, version: int | None) -> InvestmentModel:
    """Return the model, where it lives and is as the caller has read it: ``If-Match`` is looked at first."""
    if not isinstance(loaded, InvestmentModel) or loaded.deleted:
        raise NotFound(f"model {model_id} does not exist")
    if context.expected_version not in (None, ANY_VERSION, loaded.version):
        raise StaleVersion(loaded.id, context.expected_version, loaded.version)
    if version not in (None, loaded.version):
        raise VersionConflict(loaded.id, version, loaded.version)
    return loaded


def _taken(loaded: Aggregate | None, name: str, model_id: str, now: datetime) -> ModelName:
    """Return the reservation of the name for this model; raises ``AlreadyExists`` where it is another's."""
    if not isinstance(loaded, ModelName):
        return ModelName.first_taken(name, model_id, now)
    if loaded.model_id == model_id:
        raise _CalledOtherwise(name)
    loaded.take(model_id, now)
    return loaded


def _released(loaded: Aggregate | None, name: str, model_id: str, now: datetime) -> ModelName:
    """Return the reservation, freed; raises ``Broken`` where there is none: every live model has one."""
    if not isinstance(loaded, ModelName):
        raise Broken(f"the name {name!r} of model {model_id} was never reserved")
    if loaded.model_id != model_id:
        raise _CalledOtherwise(name)
    loaded.release(now)
    return loaded
