"""Recorded rebalances checked again from the log alone: without the view, the price book or a solver."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from decimal import Decimal

import msgspec

from domain.base import A, Recorded, fold
from domain.errors import Broken, NotFound, NotYet
from domain.rebalance import (
    BoundBy,
    Mode,
    OnInfeasible,
    Options,
    Proof,
    Rebalance,
    RebalanceRecorded,
    RebalanceRun,
    RebalanceRunFinished,
    RebalanceRunPriced,
    RebalanceRunRequested,
    faults,
    rebalance_id_of,
)
from domain.values import EXACT, plain
from read_side.history import Archive, History
from read_side.signals import Signals
from read_side.wire import encode

_PAGE = 200
_RUNS = 50
"""So many runs are kept while the log is gone through; one that is met again later is read again."""
_CENT = Decimal("0.01")


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a check has found; ``position`` is where the rebalance, or what cannot be read, stands in the log.

    ``rebalance_id`` is None for an event that cannot be read at all. Nothing wrong: no ``faults``.
    """

    rebalance_id: str | None
    position: int
    faults: tuple[str, ...]


def wrong(run: RebalanceRun, rebalance: Rebalance) -> list[str]:
    """Return what does not hold in a recorded rebalance, from the two streams alone; nothing where it stands.

    Beside ``domain.rebalance.faults``: that both belong together, the cash afterwards, that every line has its
    quantity, and that the certificate claims no more than its figures say. That no allowed quantities are better is
    not proven again.
    """
    found, prices = [], run.prices or {}
    if rebalance.rebalance_id != rebalance_id_of(run.run_id, rebalance.portfolio_id):
        found.append(f"it is not the rebalance of portfolio {rebalance.portfolio_id} in run {run.run_id}")
    if rebalance.portfolio_id not in run.portfolios:
        found.append(f"portfolio {rebalance.portfolio_id} is not among those of the run")
    if rebalance.model_id != run.model_id:
        found.append(f"the model is {rebalance.model_id}, that of the run is {run.model_id}")
    lines = {position.security_id for position in run.positions} | {
        name for name, held in rebalance.held.items() if held
    }
    if missing := sorted(lines - prices.keys()):
        return [*found, f"the run has no price for {', '.join(missing)}"]
    if lines != rebalance.quantities.keys():
        odd = sorted(lines ^ rebalance.quantities.keys())
        return [*found, f"what is held or modelled is not what has a quantity: {', '.join(odd)}"]
    try:
        return found + faults(run, rebalance) + _of_cash(prices, rebalance) + _of_proof(run, rebalance)
    except ArithmeticError as error:
        return [*found, f"the figures cannot be computed with: {error!r}"]


def _of_cash(prices: dict[str, Decimal], rebalance: Rebalance) -> list[str]:
    cash = rebalance.market_value
    for security_id, quantity in rebalance.quantities.items():
        cash = EXACT.subtract(cash, EXACT.multiply(quantity, prices[security_id]))
    if cash == rebalance.cash_after:
        return []
    return [f"the cash afterwards is {plain(cash)}, recorded is {plain(rebalance.cash_after)}"]


def _of_proof(run: RebalanceRun, rebalance: Rebalance) -> list[str]:
    certificate, options, found = rebalance.certificate, run.options, []
    nearest, default = certificate.status is Proof.NEAREST, Options()
    if nearest and options.on_infeasible is not OnInfeasible.NEAREST:
        found.append("the certificate says NEAREST, which the run did not ask for")
    if nearest is not bool(certificate.breaches):
        found.append(f"the certificate says {certificate.status} and names {len(certificate.breaches)} bands left")
    of_mode = "traded-value" if options.mode is Mode.TO_BAND else "deviation"
    if certificate.minimises != (wanted := "band-breach" if nearest else of_mode):
        found.append(f"the certificate minimises {certificate.minimises[:40]!a}, the run asks for {wanted}")
    told = {name for name in Options.__struct_fields__ if getattr(options, name) != getattr(default, name)}
    if told != set(certificate.options):
        found.append(f"the options of the certificate are not those of the run: {', '.join(sorted(told)) or 'none'}")
    if certificate.status is Proof.OPTIMAL and certificate.gap > _CENT:
        found.append(f"the certificate says OPTIMAL with a gap of {plain(certificate.gap)}, more than a cent")
    if not nearest and certificate.bound_by is BoundBy.SEPARABILITY and certificate.gap:
        found.append(f"the bound is said to be the objective, with a gap of {plain(certificate.gap)}")
    return found


class Verification:
    """The query that checks one rebalance; raises ``NotFound``, ``NotYet``, ``StoreUnavailable``."""

    def __init__(self, archive: Archive, signals: Signals) -> None:
        self._archive, self._signals = archive, signals

    async def json(self, rebalance_id: str, *, at_least: int = 0, wait: float = 2.0) -> bytes:
        """Return what holds in the rebalance; ``checked_at_position`` is how far the log had come then."""
        if not await self._signals.wait_for_head(at_least, wait):
            raise NotYet("log", at_least, self._signals.head)
        head = self._signals.head
        try:
            events = await _stream(self._archive, Rebalance.stream(rebalance_id))
            rebalance = _folded(Rebalance, events)
            if rebalance is None or rebalance.deleted:
                raise NotFound(f"rebalance {rebalance_id[:100]!a} does not exist")
            head = max(head, events[-1].position)
            found = (await _Runs(self._archive).checked(rebalance, events[0].position)).faults
        except Broken as error:
            found = (str(error),)
        return encode({"rebalance_id": rebalance_id, "valid": not found, "faults": found, "checked_at_position": head})


async def verified(history: History, archive: Archive) -> AsyncIterator[Verified]:
    """Yield the check of every rebalance recorded so far, also of those deleted since, in log order.

    Memory stays the same however long the log is. What cannot be read may be a rebalance, and is told.
    """
    after, head, runs = 0, await history.head(), _Runs(archive)
    while after < head:
        try:
            page = await history.page(after, _PAGE)
        except Broken as error:
            if error.position is None:
                raise
            yield Verified(rebalance_id=None, position=error.position, faults=(str(error),))
            after = error.position
            continue
        if not page:
            return
        for recorded in page:
            runs.follow(recorded)
            if isinstance(recorded.event, RebalanceRecorded):
                yield await runs.checked_event(recorded)
        after = page[-1].position


async def verified_ones(archive: Archive, rebalance_ids: Iterable[str]) -> AsyncIterator[Verified]:
    """Yield the checks of these rebalances, in their order."""
    runs = _Runs(archive)
    for rebalance_id in rebalance_ids:
        try:
            events = await _stream(archive, Rebalance.stream(rebalance_id))
            rebalance = _folded(Rebalance, events)
        except Broken as error:
            yield Verified(rebalance_id=rebalance_id, position=error.position or 0, faults=(str(error),))
            continue
        if rebalance is None:
            yield Verified(rebalance_id=rebalance_id, position=0, faults=("it is not in the log",))
        else:
            yield await runs.checked(rebalance, events[0].position)


class _Runs:
    """The runs met last, each as the log has it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: OrderedDict[str, RebalanceRun] = OrderedDict()

    def follow(self, recorded: Recorded) -> None:
        """Take an event that is gone past, so that its run need not be read again."""
        if isinstance(recorded.event, RebalanceRunRequested | RebalanceRunPriced | RebalanceRunFinished):
            try:
                run = _folded(RebalanceRun, [recorded], self._known.get(recorded.stream))
                self._keep(recorded.stream, run)
            except Broken:  # forgotten or altered: read whole when a rebalance needs it, and told with that
                self._known.pop(recorded.stream, None)

    async def checked_event(self, recorded: Recorded) -> Verified:
        """Return the check of the rebalance that this event has recorded."""
        try:
            rebalance = _folded(Rebalance, [recorded])
        except Broken as error:
            return Verified(rebalance_id=None, position=recorded.position, faults=(str(error),))
        assert rebalance is not None  # noqa: S101 - there is an event
        return await self.checked(rebalance, recorded.position)

    async def checked(self, rebalance: Rebalance, position: int) -> Verified:
        """Return the check of a rebalance recorded at this position."""
        try:
            run = await self._run(RebalanceRun.stream(rebalance.run_id))
            found = [f"run {rebalance.run_id} is not in the log"] if run is None else wrong(run, rebalance)
        except Broken as error:
            found = [f"its run: {error}"]
        return Verified(rebalance_id=rebalance.rebalance_id, position=position, faults=tuple(found))

    async def _run(self, stream: str) -> RebalanceRun | None:
        if stream not in self._known:
            self._keep(stream, _folded(RebalanceRun, await _stream(self._archive, stream)))
        return self._known.get(stream)

    def _keep(self, stream: str, run: RebalanceRun | None) -> None:
        if run is not None:
            self._known[stream] = run
            self._known.move_to_end(stream)
            if len(self._known) > _RUNS:
                self._known.popitem(last=False)


async def _stream(archive: Archive, stream: str) -> list[Recorded]:
    """Return the events of the stream; none for a name that no stream can have."""
    return await archive.stream(stream) if stream.isascii() and stream.isprintable() else []


def _folded(cls: type[A], events: Sequence[Recorded], aggregate: A | None = None) -> A | None:
    """Return the aggregate after these events; raises ``Broken`` for whatever they hold that makes no such one."""
    try:
        made = fold((recorded.event for recorded in events), aggregate)
        if made is not None and not isinstance(made, cls):
            raise Broken(f"{made.id} is no {cls.TOPIC}")
    except Broken:
        raise
    except Exception as error:  # any: bytes that were altered can make anything, and that is what is looked for
        raise Broken(f"{events[-1].stream} cannot be made of its events: {error!r}") from error
    return made
