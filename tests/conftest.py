"""What holds for every test: the plugins with the fixtures, and that continuous integration skips nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# Fixtures shared by several folders are plugins, named here. What only one
# folder needs stands in the conftest.py of that folder.
pytest_plugins = ["tests.servers.fixtures", "tests.servers.real"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In continuous integration (``CI`` is set) a skipped test fails the run."""
    if _skipped(session.config) and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the tests that were skipped where none may be."""
    skipped = _skipped(config)
    if skipped:
        terminalreporter.section("skipped, which fails where CI is set", red=True)
        for report in skipped:
            terminalreporter.write_line(f"{report.nodeid}: {_reason(report)}")


def _skipped(config: pytest.Config) -> list[pytest.TestReport | pytest.CollectReport]:
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("CI", "").lower() in {"", "0", "false"}:
        return []
    return [*reporter.stats.get("skipped", [])]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
