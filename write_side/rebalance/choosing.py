"""Which model a portfolio is rebalanced by, and which models there are (contract "002")."""

from __future__ import annotations

import re

from domain.errors import NotFound, RuleViolated
from domain.investment_model import InvestmentModel
from write_side.event_store import EventStore
from write_side.ports import ModelsOf

ID = re.compile(r"[0-9a-f]{24}\Z")
"""The ids of models and rebalances; nothing else is looked for in the log."""
_NAMED = 20
"""So many models a refusal names."""


class NoModel(NotFound):
    """The portfolio follows no model, or not the one that was named."""

    code = "no-model"


class AmbiguousModel(RuleViolated):
    """The portfolio follows several models and none was named."""

    code = "ambiguous-model"


async def live_model(store: EventStore, model_id: str) -> InvestmentModel:
    """Return the model as it is now; raises ``NotFound`` where there is none (any more)."""
    model = await store.load(InvestmentModel, model_id) if ID.match(model_id) else None
    if model is None or model.deleted:
        raise NotFound(f"model {model_id[:100]!a} does not exist")
    return model


async def model_of(
    store: EventStore, models: ModelsOf, portfolio_id: str, model_id: str | None, at_least: int
) -> InvestmentModel:
    """Return the model that the portfolio follows; of several the one named.

    What the view says of it is checked in the log. Raises ``NotFound``, ``NoModel``, ``AmbiguousModel``, ``NotYet``.
    """
    if model_id is not None:
        model = await live_model(store, model_id)
        if portfolio_id not in model.portfolios:
            raise NoModel(f"portfolio {portfolio_id} does not follow model {model_id}")
        return model
    followed = await _followed(store, models, portfolio_id, max(at_least, store.reached))
    if len(followed) != 1:  # no refusal by a view that has not seen what another process has just recorded
        followed = await _followed(store, models, portfolio_id, max(at_least, await store.head()))
    if not followed:
        raise NoModel(f"portfolio {portfolio_id} follows no model: add it to one, or give another portfolio")
    if len(followed) > 1:
        named = ", ".join(f"{model.model_id} ({model.name!a})" for model in followed[:_NAMED])
        more = f" and {len(followed) - _NAMED} more" if len(followed) > _NAMED else ""
        raise AmbiguousModel(
            f"portfolio {portfolio_id} follows {len(followed)} models, {named}{more}: choose one by model_id"
        )
    return followed[0]


async def _followed(store: EventStore, models: ModelsOf, portfolio_id: str, at_least: int) -> list[InvestmentModel]:
    """Return the models that the portfolio follows, by a view that includes the log up to this position."""
    known = await models.of_portfolio(portfolio_id, at_least)
    loaded = (await store.load_many(InvestmentModel, known)).values()
    return [model for model in loaded if not model.deleted and portfolio_id in model.portfolios]
