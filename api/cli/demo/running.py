"""The life of the demo: the application as ``serve`` runs it, and a thread beside it that loads and shows."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from api import logs
from api.cli.demo.accounting import show_accounting
from api.cli.demo.cells import WIDTH
from api.cli.demo.client import Client, Refused, Stopped
from api.cli.demo.files import Plan, read
from api.cli.demo.loading import load
from api.cli.demo.rebalancing import Result, show_rebalances
from api.cli.demo.services import OWN, surroundings
from api.cli.demo.tables import show, suggestions
from api.cli.demo.trading import TRADED, Floor, show_trading
from api.cli.failing import Failed
from api.cli.serve import serve_all
from api.settings import Settings, read_settings
from samples.trade_service.server import TradeService, trade_service

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach a server that listens there


def run(port: int | None, data_dir: Path, *, stop: bool) -> None:
    """Serve, load and show; then end if ``stop``, else serve until SIGTERM or SIGINT.

    Raises ``Failed`` when the data cannot be loaded or shown; what was cut off while it loaded exits with 130.
    """
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    plan = read()
    if (now := datetime.now(UTC)) < plan.until:
        raise Failed(f"the sample data end on {plan.until:%Y-%m-%d}, the clock of this machine says {now:%Y-%m-%d}")
    beside = Beside()
    with trade_service() as trades:
        settings = _settings(port, data_dir, trades.url, notes)
        logs.configure(settings.log_level, settings.log_format.value)

        def start(taken: int) -> None:
            client = Client(_EVERYWHERE.get(settings.host, settings.host), taken, beside.stopping)
            beside.work = lambda: _load_and_show(client, plan, trades, data_dir, notes, stop=stop)
            beside.start()

        try:
            serve_all(settings, ready=start, until=lambda: beside.ends_it(stop=stop))
        finally:
            beside.end()
    if beside.noticed and beside.error is not None:
        raise beside.error
    if beside.cut_off:
        notes.print("Stopped before it was loaded: ./run demo goes on from there.")
        sys.exit(130)


def _settings(port: int | None, data_dir: Path, trade_service_url: str, notes: Console) -> Settings:
    """Return the settings: those of the environment, but with servers, services and data of the demo's own."""
    for name in OWN:
        if os.environ.pop(name, ""):
            notes.print(f"{name} is set and not used: the demo has servers and data of its own, in {data_dir}.")
    os.environ |= surroundings(data_dir, trade_service_url)
    if port is not None:
        os.environ["PORT"] = str(port)
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    return read_settings()


def _load_and_show(
    client: Client, plan: Plan, trades: TradeService, data_dir: Path, notes: Console, *, stop: bool
) -> None:
    client.wait_until_ready()
    position = load(client, plan, notes)
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=WIDTH)
    securities = {each["security_id"]: each for each in client.get("/api/v1/securities?limit=1000", position)["items"]}
    tickers = {name: each["ticker"] for name, each in securities.items()}
    show(client, plan, position, securities, out)
    rebalances = show_rebalances(client, tickers, position, out)
    _show_loop(Floor(client, trades, tickers, plan.until, out), rebalances, data_dir)
    if stop:
        end = [f"The data stay in {data_dir}, and ./run demo serves them."]
    else:
        end = [*suggestions(client.url, trades.url), "", f"[bold]serving on {client.url}, Ctrl-C ends it[/bold]"]
    for line in end:
        out.print(line, soft_wrap=True)


def _show_loop(floor: Floor, rebalances: Iterable[Result], data_dir: Path) -> None:
    """Have one of the rebalances traded, booked and sent to accounting; what the server refuses of it is printed."""
    for rebalance in rebalances:
        if rebalance["portfolio_id"] == TRADED and "error" not in rebalance:
            try:
                traded = show_trading(floor, rebalance)
                show_accounting(floor.client, rebalance, traded, data_dir, floor.out)
            except Refused as refusal:
                floor.out.print(Text(f"{refusal}\n"), soft_wrap=True)


class Beside(threading.Thread):
    """Does its work beside the main thread, which looks after the processes; a daemon, so it never holds up an end."""

    def __init__(self) -> None:
        super().__init__(name="demo", daemon=True)
        self.work: Callable[[], None] = lambda: None
        self.stopping = threading.Event()
        self.error: Exception | None = None
        self.noticed = False
        """Whether its end was seen while the application ran: what fails afterwards fails because of that."""
        self._done = False

    def run(self) -> None:
        try:
            self.work()
        except Stopped:
            return
        except Exception as error:  # told by the main thread, which ends everything with exit code 1
            self._report(error)
        self._done = True

    def ends_it(self, *, stop: bool) -> bool:
        """Return whether the application is to end: the work has failed, or is done and nothing more is asked for."""
        self.noticed = self._done
        return self._done and (stop or self.error is not None)

    @property
    def cut_off(self) -> bool:
        """Whether the application was ended before the work was done."""
        return not self.noticed and (not self._done or self.error is not None)

    def end(self) -> None:
        """Have it stop at its next request, and wait for that."""
        self.stopping.set()
        if self.is_alive():
            self.join(10)

    def _report(self, error: Exception) -> None:
        """Hand it to the main thread, which raises it."""
        self.error = error
