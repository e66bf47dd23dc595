"""Settings: every wrong one is one sentence that names it, its value and what is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from api.settings import LogFormat, LogLevel, Misconfigured, Settings, is_loopback, read_settings
from tests.architecture.tree import ROOT

UNGUARDED = (
    "HOST is '0.0.0.0', which others can reach, and there are no API keys: say 127.0.0.1, make keys with "
    "`./run keys create` and set API_KEYS or API_KEYS_FILE, or set ALLOW_ANONYMOUS=1 to let anyone who reaches it do "
    "anything."
)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*Settings.model_fields, "postgres_enable_db_functions"]:
        monkeypatch.delenv(name.upper(), raising=False)


def test_nothing_set_is_loopback_and_embedded() -> None:
    settings = read_settings()
    assert (settings.host, settings.port, settings.database_url, settings.redis_url) == ("127.0.0.1", 8080, None, None)
    assert settings.data_dir == Path(".data")


def test_everything_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://u:p@db/x", "REDIS_URL": "redis://cache:6379/0", "HOST": "::1", "PORT": "0",
        "LOG_LEVEL": "debug", "LOG_FORMAT": "JSON", "COMMAND_QUEUE": "7", "ALLOW_ANONYMOUS": "1", "DATA_DIR": "/x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert (settings.log_level, settings.log_format) == (LogLevel.DEBUG, LogFormat.JSON)
    assert (settings.port, settings.command_queue, settings.allow_anonymous) == (0, 7, True)


def test_an_empty_variable_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "")
    assert read_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "70000", "PORT is '70000': say 65535 or less."),
        ("PORT", "http", "PORT is 'http': say a whole number."),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'LOUD': say 'DEBUG', 'INFO', 'WARNING' or 'ERROR'."),
        ("COMMAND_QUEUE", "0", "COMMAND_QUEUE is '0': say 1 or more."),
        ("ALLOW_ANONYMOUS", "perhaps", "ALLOW_ANONYMOUS is 'perhaps': say 1 or 0."),
        (
            "REDIS_URL",
            "cache:6379",
            "REDIS_URL is 'cache:6379': say redis://host:port/0, rediss://... or unix:///path.",
        ),
        (
            "DATABASE_URL",
            "mysql://u:secret@db/x",
            "DATABASE_URL is 'mysql://u:***@db/x': say postgresql://user:password@host:port/name.",
        ),
        *(
            (
                "SOLVERS",
                value,
                f"SOLVERS is {value!r}: say HIGHS,SCIP, in the order in which they are tried, or one of them.",
            )
            for value in ("HIGHS,CPLEX", "HIGHS,", "HIGHS;SCIP", "HIGHS,highs")
        ),
        (
            "HOST",
            "0.0.0.0",  # noqa: S104
            UNGUARDED,
        ),
        (
            "POSTGRES_ENABLE_DB_FUNCTIONS",
            "yes",
            "POSTGRES_ENABLE_DB_FUNCTIONS is 'yes': unset it, with it the event log would lose events to followers.",
        ),
    ],
)
def test_a_wrong_one_is_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as refused:
        read_settings()
    assert str(refused.value) == sentence


def test_all_wrong_ones_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "LOG_LEVEL", "POSTGRES_ENABLE_DB_FUNCTIONS"):
        monkeypatch.setenv(name, "x")
    with pytest.raises(Misconfigured) as refused:
        read_settings()
    assert len(str(refused.value).splitlines()) == 3


def test_anyone_may_come_in_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")  # noqa: S104
    monkeypatch.setenv("ALLOW_ANONYMOUS", "1")
    assert read_settings().allow_anonymous


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_what_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)
    assert not any(is_loopback(other) for other in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""))  # noqa: S104


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("cli {fil}", r"CLI_COMMAND is 'cli \{fil\}': \{fil\} in '\{fil\}' is none of \{file\}"),
        ("cli {", "Single '.' encountered in format string"),
        ("cli '", "it cannot be split into words: No closing quotation"),
    ],
)
def test_a_command_that_cannot_be_filled_in_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, command: str, wrong: str
) -> None:
    monkeypatch.setenv("CLI_COMMAND", command)
    with pytest.raises(Misconfigured, match=wrong):
        read_settings()


@pytest.mark.parametrize("command", ["", "  "])
def test_an_empty_command_is_none(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("CLI_COMMAND", command)
    assert read_settings().cli_command is None


@pytest.mark.parametrize(
    ("said", "meant"), [("highs , Scip", "HIGHS,SCIP"), ("scip", "SCIP"), ("SCIP,HIGHS", "SCIP,HIGHS")]
)
def test_solvers_are_known_however_they_are_written(monkeypatch: pytest.MonkeyPatch, said: str, meant: str) -> None:
    monkeypatch.setenv("SOLVERS", said)
    assert read_settings().solvers == meant


def test_settings_are_checked_without_a_solver() -> None:
    program = "import sys, api.settings; api.settings.read_settings(); print({'cvxpy', 'numpy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "set()\n"
