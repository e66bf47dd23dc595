"""``./run demo`` as its users see it: what it shows is right, again and after a kill, and it ends as it is told."""

from __future__ import annotations

import json
import re
import signal
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from domain.prices import PricesUploaded
from tests.faults.brake import braked
from tests.journeys.demos import Demo, demo, ids_of, lines, rebalances, repairs, section
from tests.samples import executed
from tests.samples.expected import expected, rows
from tests.samples.rebalanced import rebalanced, rounded
from tests.servers.application import application

SUGGESTED = re.compile(r"^  curl '([^']+)'$", re.MULTILINE)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Demo]:
    """The folder of a demo that has been run with ``--exit``, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    with demo(folder, "--exit") as running:
        assert running.ends() == 0, running.err
    return folder, running


def test_the_table_shows_what_the_files_say(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    assert lines(running.out) == expected().lines
    tables, _, _ = running.out.partition("The data stay in")
    assert max(map(len, tables.splitlines())) <= 120
    assert "\x1b" not in running.out + running.err


def test_the_positions_of_one_portfolio_add_up(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    _, _, below = running.out.partition("Positions of Equity Long/Short (equity-long-short)")
    table, _, _ = below.partition("\n\n")
    tickers = {row["ticker"]: row for row in rows("securities")}
    values = []
    last = {row["instrument_id"]: row["price"] for row in rows("prices")}
    for line in filter(None, map(str.split, table.splitlines())):
        if security := tickers.get(line[0]):
            assert " ".join(line[1:-5]) == security["name"]
            quantity, price, value = (Decimal(cell.replace(",", "")) for cell in line[-5:-2])
            assert price == Decimal(last[security["security_id"]])
            assert value == quantity * price
            values.append(value)
        elif line[0] == "CASH":
            values.append(Decimal(line[1].replace(",", "")))
    money = expected().money["equity-long-short"]
    assert len(values) == int(expected().lines["Equity Long/Short"][1]) + 1
    assert values[-1] == money["cash_balance"]
    assert sum(values) == money["total_value"]
    assert min(values) < 0


def test_the_preview_shows_what_the_files_say(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    (wanted,) = (one for one in rebalanced()["Global Balanced"] if one.name == "Balanced 60/40")
    header, *lines = section(running.out, "What Global Balanced would trade in Balanced 60/40 (balanced-60-40)")
    assert header == ["Ticker", "Held", "Weight", "Target", "Band", "Trade", "Value", "New", "weight"]
    assert {line[0]: line[1:] for line in lines} == wanted.preview()
    assert [line[0] for line in lines] == [*wanted.rows, "Cash"]


@pytest.mark.parametrize("model", ["Global Balanced", "Quality Growth"])
def test_the_rebalances_are_what_the_files_say(shown: tuple[Path, Demo], model: str) -> None:
    _, running = shown
    _, *lines = section(running.out, f"Rebalance by {model} (recorded, nothing is booked)")
    none = ["none,", "see", "below"]
    assert lines == [[*one.name.split(), *(none if one.impossible else one.line())] for one in rebalanced()[model]]


def test_what_cannot_be_rebalanced_is_explained(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    (wanted,) = (one for one in rebalanced()["Quality Growth"] if one.impossible)
    _, _, below = running.out.partition("Momentum (momentum): no feasible solution exists\n")
    text, _, _ = below.partition("\n\n")
    of_each = dict(re.findall(r"^  (\w+): (.*\n(?:    with .*\n?)+)", f"{text}\n", re.MULTILINE))
    assert list(of_each) == list(wanted.impossible)
    for ticker, row in wanted.impossible.items():
        why, *fixes = of_each[ticker].splitlines()
        low, high = (rounded(100 * part, 3) for part in (row.low, row.high))
        assert why == (
            f"band narrower than one share; at {rounded(row.price, 2):,} each, "
            f"{row.most} are below {low} %, {row.least} above {high} %"
        )
        assert repairs(row, fixes) == {row.most, row.least}


def test_one_rebalance_is_sent_to_the_desk_as_orders(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    header, *lines = section(running.out, "Orders for Young Savers Plan (young-savers-plan)")
    assert header == ["Order", "Side", "Ticker", "Quantity", "Price", "Value"]
    assert [line[1:] for line in lines] == [order.order_cells() for order in executed.orders()]
    (rebalance_id,) = {line[0].rpartition("-")[0] for line in lines}
    assert [line[0] for line in lines] == [f"{rebalance_id}-{order.order}" for order in executed.orders()]


def test_the_desk_trades_them_and_the_portfolio_books_what_it_traded(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    header, *lines = section(running.out, "Executions of the desk (8 created), their portfolio looked up")
    assert header[2:6] == ["id", "Portfolio", "Order", "Side"]
    wanted = [each.cells(number) for number, each in enumerate(executed.executions(), start=executed.FIRST)]
    assert [line[1:] for line in lines] == wanted
    assert len(set(ids_of(running.out))) == len(wanted) == len(executed.orders()) + 1


def test_what_is_held_afterwards_is_what_the_rebalance_wanted(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    _, *lines = section(running.out, "Young Savers Plan after it has booked them")
    assert lines == executed.held()
    assert "Orders FILLED: 7 of 7 are filled.\nEvery position is what the rebalance wanted" in running.out


def test_accounting_has_what_was_traded_to_the_cent(shown: tuple[Path, Demo]) -> None:
    folder, running = shown
    batch = re.search(r"^Batch 1 for accounting: SENT, 8 executions, 0 rejected, in (\S+)$", running.out, re.MULTILINE)
    assert batch
    header, *lines = (folder / "data" / "files" / batch[1]).read_text().splitlines()
    pairs = zip(ids_of(running.out), executed.executions(), strict=True)
    assert lines == [each.line(number) for number, each in pairs]
    assert (folder / "data" / "accounting" / "ledger.csv").read_text().splitlines() == [header, *lines]
    told = "\n".join(f"  {line}" for line in [header, *lines[:3]])
    assert f"{batch[0]}\n{told}\n  … and 5 more\n" in running.out
    assert f"Accounting: {batch[1]}: 8 booked, 0 duplicates, 0 rejected\n" in running.out
    bought, sold = executed.sums("BUY"), executed.sums("SELL")
    sums = ["8", *(executed.cents(amount) for amount in (bought, sold, sold - bought))]
    _, *compared = section(running.out, "What accounting has booked")
    assert [line[-4:] for line in compared] == [sums, sums, ["0", "0.00", "0.00", "0.00"]]


def test_progress_is_told_in_lines_where_there_is_no_terminal(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    told = re.findall(r"^2026-\d\d-\d\d  day \d+ of 64, [\d,]+ events, [\d,]+ events/s$", running.err, re.MULTILINE)
    assert 4 <= len(told) <= 10
    assert re.search(r"^Loaded [\d,]+ events in [\d.]+ s", running.err, re.MULTILINE)


def test_again_on_the_same_data_changes_nothing_and_it_serves_on(shown: tuple[Path, Demo]) -> None:
    folder, first = shown
    with demo(folder, CLI_COMMAND="false", TRADE_SERVICE_URL="http://127.0.0.1:1") as running:
        running.prints("Ctrl-C ends it")
        assert "were there already" in running.err
        assert "Loaded" not in running.err
        assert "CLI_COMMAND is set and not used" in running.err
        assert "TRADE_SERVICE_URL is set and not used" in running.err
        assert lines(running.out) == lines(first.out) | {executed.NAME: executed.line_afterwards()}
        assert rebalances(running.out).replace("(8 there already)", "(8 created)") == rebalances(first.out)
        for address in SUGGESTED.findall(running.out):
            assert httpx2.get(address, timeout=60).status_code == 200
        base = SUGGESTED.findall(running.out)[0].partition("/api/")[0]
        for portfolio_id, money in (expected().money | {executed.PORTFOLIO: executed.money_afterwards()}).items():
            answer = httpx2.get(f"{base}/api/v1/portfolio/{portfolio_id}/analytics", timeout=60)
            told = json.loads(answer.content, parse_float=Decimal)
            assert {name: told[name] for name in money} == money, portfolio_id
        running.process.send_signal(signal.SIGINT)
        assert running.ends() == 0, running.err
        assert "Traceback" not in running.err


async def test_one_that_was_killed_goes_on_wherever_that_was(shown: tuple[Path, Demo], tmp_path: Path) -> None:
    _, whole = shown
    with application(tmp_path) as app:  # every day ends with one upload of prices
        held = await braked(app, PricesUploaded.TOPIC, 16, 24)
    with demo(tmp_path) as running:
        running.prints("day 16 of 64")
        await held.reached()
        running.process.kill()
    with demo(tmp_path) as running:
        await held.let_go()
        running.prints("day 24 of 64")
        await held.reached()
        running.process.send_signal(signal.SIGINT)
        assert running.ends() == 130, running.err
        assert "goes on from there" in running.err
        assert "Traceback" not in running.err
    for before in ("Orders for Young Savers Plan", "Every position is"):  # the executions, the batch
        with demo(tmp_path) as running:
            if held.places:
                await held.let_go()
            running.prints(before)
            running.process.kill()
    with demo(tmp_path, "--exit") as running:
        assert running.ends() == 0, running.err
    assert "were there already" in running.err
    assert lines(running.out) == expected().lines | {executed.NAME: executed.line_afterwards()}
    for title in ("Young Savers Plan after it has booked them", "What accounting has booked"):
        assert section(running.out, title) == section(whole.out, title)
    booked = [line.split(",")[2] for line in (tmp_path / "data/accounting/ledger.csv").read_text().splitlines()]
    assert booked == ["source_id", *(f"AC{number}" for number in ids_of(running.out))]


def test_what_cannot_be_loaded_is_a_sentence(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        opening = {"portfolio_id": "global-growth", "portfolio_name": "Another"}
        assert httpx2.post(f"{app.url}/api/v1/portfolios", json=opening, timeout=60).status_code == 201
        with demo(tmp_path, "--exit", port=app.port) as running:
            assert running.ends() == 1
            assert f"port {app.port}" in running.err
    with demo(tmp_path, "--exit") as running:
        assert running.ends() == 1
    assert "global-growth already exists" in running.err
    assert "--data-dir" in running.err
    assert "Traceback" not in running.err
