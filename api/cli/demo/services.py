"""What the demo has beside the application: a trade service, and an accounting program with its ledger."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

OWN: Final = (
    "DATABASE_URL",
    "REDIS_URL",
    "TRADE_SERVICE_URL",
    "CLI_COMMAND",
    "OUTPUT_DIR",
    "BOOK_EXECUTIONS",
    "DELETE_FILES",
    "API_KEYS",
    "API_KEYS_FILE",
)
"""Settings of the environment that the demo does not follow: invented trades are for no service but its own."""


def surroundings(data_dir: Path, trade_service: str) -> dict[str, str]:
    """Return the settings that make the application use what is the demo's own."""
    program = [sys.executable, "-m", "samples.accounting_cli", "process"]
    arguments = ["--file", "{file}", "--output-dir", "{output_dir}", "--ledger", _literal(str(ledger_in(data_dir)))]
    return {
        "DATA_DIR": str(data_dir.absolute()),
        "TRADE_SERVICE_URL": trade_service,
        "CLI_COMMAND": shlex.join([*map(_literal, program), *arguments]),
    }


def ledger_in(data_dir: Path) -> Path:
    """Return where accounting keeps what it has booked."""
    return data_dir.absolute() / "accounting" / "ledger.csv"


def file_in(data_dir: Path, name: str) -> Path:
    """Return where the file of a batch is."""
    return data_dir.absolute() / "files" / name


def _literal(text: str) -> str:
    """Return what stands for this text in a command that has places in braces."""
    return text.replace("{", "{{").replace("}", "}}")
