"""Problems made at random: small ones that can be enumerated, and ones of every size that only have to be exact."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from random import Random

from msgspec import structs

from domain.rebalance import Line, Mode, OnInfeasible, Options, Problem
from domain.values import EXACT, ZERO
from tests.write_side.optimiser.oracle import Oracle


def small(random: Random, *, on_infeasible: OnInfeasible = OnInfeasible.ERROR) -> Problem:
    """Return a problem of one to four securities with few allowed quantities each, mostly with options.

    One in three has round figures, so that ties and the very edges of bands are common.
    """
    if random.random() < 1 / 3:
        return _round(random, on_infeasible)
    value = random.randrange(200, 5_000)
    count = random.randrange(1, 5)
    weights = _weights(random, count)
    lines = []
    for number, weight in enumerate(weights):
        price = figure(random, value / 12, value / 2, random.choice((0, 1, 2, 4)))
        ideal = float(weight) / 100 * value / float(price)
        held = figure(random, 0, 2 * ideal + 1, random.choice((0, 0, 0, 1, 4)))
        drifts = _drifts(random, 40) if weight or random.random() < 0.3 else (ZERO, ZERO)
        lines.append(Line(name(number), price, held if random.random() < 0.8 else ZERO, weight, *drifts))
    cash = figure(random, -value / 10, value / 2, 2)
    return positive(cash, lines, options(random, lines, value, on_infeasible))


def _round(random: Random, on_infeasible: OnInfeasible) -> Problem:
    """Return a small problem in round figures."""
    value = random.choice((100, 200, 250, 400, 1_000))
    lines, left = [], Decimal(value)
    for number in range(random.randrange(1, 5)):
        price = value // 100 * Decimal(random.choice((5, 10, 20, 25, 50)))
        target = Decimal(random.choice(("0", "5", "10", "12.5", "15", "20", "22.5")))
        low, high = sorted(Decimal(random.choice((0, 5, 10, 15, 20))) for _ in range(2))
        line = Line(name(number), price, Decimal(random.randrange(10)) / 2, target, low, high)
        lines.append(line)
        left -= line.held * price
    told = options(random, lines, value, on_infeasible)
    if told.min_trade:
        told = structs.replace(told, min_trade=random.choice(lines).price * random.randrange(1, 3) / 2)
    return positive(left, lines, told)


def pinched(random: Random, *, on_infeasible: OnInfeasible = OnInfeasible.ERROR) -> Problem:
    """Return a small problem whose cash binds, where that can be had: some, not all, of what it wants can be paid."""
    problem = small(random, on_infeasible=on_infeasible)
    for _ in range(20):
        oracle = Oracle(problem)
        wanted = oracle.nearest()
        if wanted is not None:
            least, most = oracle.spent([allowed[0] for allowed in oracle.allowed]), oracle.spent(wanted)
            kept = oracle.value - (least + (most - least) * Fraction(random.randrange(0, 100), 100))
            if kept >= 0 and least < most:
                cents = EXACT.scaleb(Decimal(int(kept * 100) + random.randrange(2)), -2)
                told = structs.replace(problem.options, min_cash=cents, min_cash_percent=ZERO)
                return structs.replace(problem, options=told)
        problem = small(random, on_infeasible=on_infeasible)
    return problem


def any_size(random: Random, count: int | None = None, *, most: float = 12) -> Problem:
    """Return a problem of any count of securities, prices from 0.00000001 to 500,000 and any number of places.

    Its value is up to about ``10**most``.
    """
    count = random.choice((1, 2, 3, 8, 20, 60)) if count is None else count
    value = int(10 ** random.uniform(2, most))
    lines = []
    for number, weight in enumerate(_weights(random, count)):
        price = figure(random, 1, 10 ** random.uniform(0, 5.7), random.choice((0, 2, 2, 4, 8)))
        if random.random() < 0.1:
            price = figure(random, 1e-8, 1, 8)
        ideal = float(weight) / 100 * value / float(price)
        held = figure(random, 0, 1.5 * ideal + 2, random.choice((0, 0, 2, 4, 8)))
        lines.append(Line(name(number), price, held, weight, *_drifts(random, random.choice((1, 10, 100)))))
    cash = figure(random, -value / 20, value, random.choice((0, 2, 8, 12, 16)))
    return positive(cash, lines, options(random, lines, value, OnInfeasible.ERROR))


def positive(cash: Decimal, lines: list[Line], wanted: Options) -> Problem:
    """Return the problem, with more cash where it is worth nothing."""
    problem = Problem(cash, tuple(lines), wanted)
    if problem.market_value > 0:
        return problem
    return Problem(EXACT.add(EXACT.subtract(cash, problem.market_value), Decimal(100)), tuple(lines), wanted)


def options(random: Random, lines: list[Line], value: float, on_infeasible: OnInfeasible) -> Options:
    """Return options: none, one or several of them, in all combinations that are not refused."""
    told: dict[str, object] = {"on_infeasible": on_infeasible}
    many = random.choice((0, 0.15, 0.4))
    if random.random() < many:
        told["mode"] = random.choice(list(Mode))
    if random.random() < many:
        told[random.choice(("buy_only", "sell_only"))] = True
    if random.random() < many:
        told["do_not_trade"] = tuple(line.security_id for line in lines if random.random() < 0.3)
    if random.random() < many:
        told["min_trade"] = figure(random, 0, value / 6, random.choice((0, 2)))
    if random.random() < many:
        locked = told.get("do_not_trade", ())
        assert isinstance(locked, tuple)
        lots = [Decimal(lot) for lot in ("2", "3", "0.5", "0.1", "0.25", "10")]
        told["lot_size"] = {
            line.security_id: random.choice(lots)
            for line in lines
            if line.security_id not in locked and random.random() < 0.6
        }
    if random.random() < max(many, 0.4):
        if random.random() < 0.5:
            told["min_cash_percent"] = figure(random, 0, 60, random.choice((0, 1, 6)))
        else:
            told["min_cash"] = figure(random, 0, value / 2, random.choice((0, 2)))
    return Options(**told)  # type: ignore[arg-type]


def figure(random: Random, low: float, high: float, places: int) -> Decimal:
    """Return a number between the two with so many places, above 0 where ``low`` is."""
    unit = 10**places
    steps = random.randint(round(low * unit), max(round(low * unit), round(high * unit)))
    return EXACT.scaleb(Decimal(max(steps, 1) if low > 0 else steps), -places)


def name(number: int) -> str:
    """Return the id of a security; they rise."""
    return f"SECURITY{number:016d}"


def _weights(random: Random, count: int) -> list[Decimal]:
    """Return targets in multiples of 0.005 that are at most 95 together; some are 0."""
    shares = [random.random() if random.random() < 0.85 else 0.0 for _ in range(count)]
    total = random.uniform(30, 95)
    whole = sum(shares) or 1.0
    step = random.choice((1000, 500, 5))
    return [EXACT.scaleb(Decimal(int(share / whole * total * 1000) // step * step), -3) for share in shares]


def _drifts(random: Random, widest: float) -> tuple[Decimal, Decimal]:
    """Return a low and a high drift, the low one not above the other."""
    places = random.choice((0, 1, 3, 6))
    low, high = sorted((figure(random, 0, widest, places), figure(random, 0, widest, places)))
    return low, high
