"""The accounting CLI under test: the sample as a command, its processes, and a parent of its own that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import sys
from pathlib import Path

import uvloop

from api.embedded.process import wait_until
from tests.architecture.tree import ROOT
from write_side.adapters.accounting_cli import LocalAccountingCli

NAME = "transactions_20250617_120000_7.csv"
HEADER = "portfolio_id,security_id,source_id,transaction_type,quantity,price,transaction_date\n"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def sample(*switches: str) -> str:
    """Return the template of the sample, which works wherever it is started."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from samples.accounting_cli.__main__ import main; main()"
    start = start.replace("main()", "sys.exit(main())")
    words = [sys.executable, "-c", start, "process", "--file", "{file}", "--output-dir", "{output_dir}", *switches]
    return shlex.join(words)


def row(number: int, quantity: str = "100.00000000") -> str:
    return f"P-1,TECH123456789012345678AB,AC{number},BUY,{quantity},57.12345679,20250617\n"


def publish(folder: Path, rows: int = 4) -> Path:
    """Let a file of so many rows stand in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_text(HEADER + "".join(row(number) for number in range(1, rows + 1)))
    return path


def alive(pid: int) -> bool:
    """Whether the process runs: one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids(folder: Path) -> list[int]:
    """Return the process around the CLI and the CLI itself, once both are started."""
    with contextlib.suppress(FileNotFoundError):
        found = [int(word) for word in (folder / ".batches" / "lock").read_text().split()]
        return found if len(found) == 2 else []
    return []


async def started(folder: Path) -> list[int]:
    assert await asyncio.to_thread(wait_until, lambda: bool(pids(folder)), 60)
    return pids(folder)


async def ignores_sigterm(pid: int) -> None:
    """Wait until the process does."""

    def ignores() -> bool:
        status = Path(f"/proc/{pid}/status").read_text()
        ignored = next(line for line in status.splitlines() if line.startswith("SigIgn"))
        return bool(int(ignored.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    assert await asyncio.to_thread(wait_until, ignores, 60)


async def gone(*numbers: int) -> bool:
    return await asyncio.to_thread(wait_until, lambda: not any(map(alive, numbers)), 60)


async def _run(folder: Path, command: str) -> None:
    cli = LocalAccountingCli(folder, command, grace=0.25)
    async with cli.alone():
        ended = await cli.run(7, 1, NAME)
    sys.stdout.write(f"{ended.exit_code} {ended.failure} {len(ended.rejected)}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=LOOPS[sys.argv[1]]) as runner:
        runner.run(_run(Path(sys.argv[2]), sys.argv[3]))
