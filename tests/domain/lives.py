"""Random lives of a portfolio beside its plain model: what is asked for, and that both agree on what is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import TypeAlias

from hypothesis import strategies as st

from domain.base import Event
from domain.codec import encode_snapshot
from domain.errors import Invalid, RuleViolated
from domain.portfolio import Portfolio, PositionUpdate, Status, TransactionType
from tests.domain.fraction_model import PlainPortfolio, Verdict
from tests.domain.portfolios import LARGEST, LEAST, NOW, opened

ALL, ALL_BUT_THE_LEAST, A_THIRD = "all", "all but the least", "a third"


@dataclass(frozen=True)
class Ask:
    """An update before its size is known: ``size`` may speak of what is there by then."""

    kind: str
    instrument_id: str | None
    size: Decimal | str
    price: Decimal | None

    def against(self, model: PlainPortfolio) -> PositionUpdate:
        there = abs(model.cash if self.kind in ("DEP", "WD", "FEE") else model.account(self.instrument_id).quantity)
        units = int(there * 10**16)
        match self.size:
            case Decimal() as size:
                pass
            case "all":
                size = Decimal(f"{units}E-16")
            case "a third":
                size = Decimal(f"{units // 3 // 10**8}E-8")
            case _:
                size = Decimal(f"{units - 10**8}E-16")
        return PositionUpdate(
            transaction_type=TransactionType(self.kind),
            quantity_change=size,
            instrument_id=self.instrument_id,
            price=self.price,
        )


Step: TypeAlias = "list[Ask] | Status"
KINDS = ["BUY", "BUY", "SELL", "SELL", "SHORT", "SHORT", "COVER", "COVER", "IN", "OUT", "DIVIDEND", "DEP", "WD", "FEE"]
SPECIAL = [Decimal(number) for number in ("1", "3", "7", LEAST, LARGEST)]
WRONG = [Decimal(number) for number in ("0", "-1", "0.000000001", "1000000000000000", "0.0000000000000001")]


def number(random: Random) -> Decimal:
    """Return a size or price within the bounds: of everyday size, of any size, or at a bound."""
    match random.randrange(10):
        case 0:
            return random.choice(SPECIAL)
        case 1 | 2 | 3:
            return Decimal(f"{random.randint(1, 10 ** random.randint(1, 23) - 1)}E-8")
        case _:
            return Decimal(f"{random.randint(1, 10**5)}E-2")


def ask(random: Random) -> Ask:
    """Return something to ask for; one in twelve does not fit, and about half of the others will be refused."""
    if not random.randrange(12):
        wrong_size: Decimal | str = random.choice([*SPECIAL, *WRONG])
        instrument_id = random.choice([None, "CASH", "A", "", "a/b", "."])
        price = random.choice([None, Decimal(1), *WRONG])
        return Ask(random.choice(KINDS), instrument_id, wrong_size, price)
    kind = random.choice(KINDS)
    of_what_is_there = random.choice([ALL, ALL_BUT_THE_LEAST, A_THIRD, None, None])
    size = of_what_is_there or number(random)
    if kind in ("DEP", "WD", "FEE"):
        return Ask(kind, None, size, None)
    price = Decimal(0) if kind == "IN" and not random.randrange(3) else number(random)
    return Ask(kind, random.choice(["A", "A", "B", "brk.b"]), size, price)


def life_of(seed: int, length: int) -> list[Step]:
    """Return the steps of a life; a shorter one of the same seed is its beginning, so that failures shrink."""
    random = Random(seed)
    steps: list[Step] = []
    for _ in range(length):
        if random.randrange(15):
            steps.append([ask(random) for _ in range(random.choice([1, 1, 1, 2, 3]))])
        else:
            steps.append(random.choice([*Status, Status.ACTIVE, Status.ACTIVE, Status.ACTIVE]))
    return steps


lives = st.builds(life_of, st.integers(0, 10**9), st.integers(0, 200))


@dataclass
class Life:
    """A portfolio and its model, side by side."""

    live: Portfolio = field(default_factory=lambda: opened("0"))
    model: PlainPortfolio = field(default_factory=PlainPortfolio)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.events.extend(self.live.collect_events())

    def step(self, asked: Step) -> None:
        """Let both do it; they agree on whether it is taken. It is decided on a copy, as the event store does."""
        trial, twin = self.model.copy(), self.live.copy()
        decide: Callable[[], None]
        if isinstance(asked, Status):
            expected, decide = trial.become(asked), lambda: twin.change_status(asked, NOW)
        else:
            updates, verdicts = [], []
            for one in asked:
                updates.append(one.against(trial))
                verdicts.append(trial.apply(updates[-1]))
            expected = next((v for v in (Verdict.INVALID, Verdict.REFUSED) if v in verdicts), Verdict.TAKEN)
            decide = lambda: twin.update(updates, NOW, now=NOW)  # noqa: E731
        before = (encode_snapshot(self.live), self.live.version)
        assert verdict(decide) is expected
        assert (encode_snapshot(self.live), self.live.version) == before
        if expected is Verdict.TAKEN:
            self.model, self.live = trial, twin
            self.events.extend(twin.collect_events())


def verdict(decide: Callable[[], None]) -> Verdict:
    try:
        decide()
    except Invalid:
        return Verdict.INVALID
    except RuleViolated:
        return Verdict.REFUSED
    return Verdict.TAKEN


def lived(steps: Sequence[Step]) -> Life:
    life = Life()
    for step in steps:
        life.step(step)
    return life
