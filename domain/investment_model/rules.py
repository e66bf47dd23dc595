"""What single values of a model may be, and what its members may be together; weights in percent (seed 002)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from unicodedata import category

import msgspec

from domain.errors import Fault
from domain.portfolio.rules import wrong_id
from domain.values import EXACT, ZERO, places, plain

MAX_NAME = 200
MAX_POSITIONS = 100
"""So many positions with a target above 0."""
MAX_PORTFOLIOS = 10_000
MAX_TARGET = Decimal(95)
STEP = Decimal("0.005")
MAX_DRIFT = Decimal(100)
MAX_DRIFT_PLACES = 6
_UNUSABLE = ("Cc", "Cs")
SECURITY_ID = re.compile(r"[A-Za-z0-9]{24}\Z")


class ModelPosition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A security of a model: its target weight, and how far below and above it may drift; all in percent."""

    security_id: str
    target: Decimal
    low_drift: Decimal
    high_drift: Decimal


def wrong_model_name(name: str) -> str | None:
    """Return what is wrong with the name of a model, or None; white space around it does not count."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        return f"has {len(name)} characters, 1 to {MAX_NAME} are taken"
    if any(category(character) in _UNUSABLE for character in name):
        return "holds a control character or half of a surrogate pair, which cannot be shown"
    return None


def wrong_security_id(security_id: str) -> str | None:
    """Return what is wrong with the id of a security in a model, or None (seed 002: exactly 24 alphanumerics)."""
    if SECURITY_ID.match(security_id):
        return None
    return f"{security_id[:100]!a} is not exactly 24 of A-Z a-z 0-9"


def wrong_target(target: Decimal) -> str | None:
    """Return what is wrong with a target in percent, or None: 0 to 95 in multiples of 0.005."""
    if not 0 <= target <= MAX_TARGET:
        return f"{plain(target)} is not a percentage from 0 to 95"
    if places(target) > 3 or EXACT.remainder(target, STEP):
        return f"{plain(target)} is not a multiple of 0.005"
    return None


def wrong_drift(drift: Decimal) -> str | None:
    """Return what is wrong with a drift in percent, or None: 0 to 100 with up to 6 places."""
    if not 0 <= drift <= MAX_DRIFT:
        return f"{plain(drift)} is not a percentage from 0 to 100"
    if places(drift) > MAX_DRIFT_PLACES:
        return f"has {places(drift)} decimal places, at most {MAX_DRIFT_PLACES} are taken"
    return None


def wrong_band(low_drift: Decimal, high_drift: Decimal) -> str | None:
    """Return what is wrong with a high drift beside its low one, or None: it is not below it (seed 002)."""
    if low_drift <= high_drift:
        return None
    return f"{plain(high_drift)} is below low_drift, {plain(low_drift)}"


def position_faults(position: ModelPosition, pointer: str) -> list[Fault]:
    """Return every fault of a position; ``pointer`` is its place in the body."""
    checked = {
        "security_id": wrong_security_id(position.security_id),
        "target": wrong_target(position.target),
        "low_drift": wrong_drift(position.low_drift),
        "high_drift": wrong_drift(position.high_drift),
    }
    if not checked["low_drift"] and not checked["high_drift"]:
        checked["high_drift"] = wrong_band(position.low_drift, position.high_drift)
    return [Fault(f"{pointer}/{name}", wrong) for name, wrong in checked.items() if wrong]


def faults_between(positions: Sequence[ModelPosition], pointer: str = "/positions") -> list[Fault]:
    """Return the faults of positions together: a security twice, too many, targets of more than 95 % together."""
    faults, seen = [], set()
    for index, position in enumerate(positions):
        if position.security_id in seen:
            faults.append(Fault(f"{pointer}/{index}/security_id", f"{position.security_id} is in the model twice"))
        seen.add(position.security_id)
    if wrong := wrong_number(positions):
        faults.append(Fault(pointer, f"has {wrong}"))
    if wrong := wrong_total(positions):
        faults.append(Fault(pointer, f"has {wrong}"))
    return faults


def wrong_number(positions: Iterable[ModelPosition]) -> str | None:
    """Return how many positions with a target there are, where these are too many, or None."""
    count = sum(1 for position in positions if position.target)
    if count <= MAX_POSITIONS:
        return None
    return f"{count} positions with a target above 0, at most {MAX_POSITIONS} are taken"


def wrong_total(positions: Iterable[ModelPosition]) -> str | None:
    """Return what the targets that are possible are together, where that is too much, or None."""
    total = ZERO
    for position in positions:
        if not wrong_target(position.target):
            total = EXACT.add(total, position.target)
    if total <= MAX_TARGET:
        return None
    return f"targets of {plain(total)} % together, at most {plain(MAX_TARGET)} are taken"


def portfolio_faults(portfolios: Sequence[str], pointer: str = "/portfolios") -> list[Fault]:
    """Return every fault of the portfolios of a model: none at all, too many, one that is no id, one twice."""
    faults, seen = [], set()
    if not 1 <= len(portfolios) <= MAX_PORTFOLIOS:
        faults.append(Fault(pointer, f"has {len(portfolios)} members, 1 to {MAX_PORTFOLIOS} are taken"))
    for index, portfolio_id in enumerate(portfolios):
        if wrong := wrong_id(portfolio_id):
            faults.append(Fault(f"{pointer}/{index}", wrong))
        elif portfolio_id in seen:
            faults.append(Fault(f"{pointer}/{index}", f"{portfolio_id} is named twice"))
        seen.add(portfolio_id)
    return faults
