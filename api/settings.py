"""Everything that can be set: environment variables, their defaults, and one sentence for each that is wrong."""

from __future__ import annotations

import ipaddress
import os
import re
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.command_line import CLI_PLACEHOLDERS, words_of

_UNLOCKED_INSERT: Final = "POSTGRES_ENABLE_DB_FUNCTIONS"
_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")


class LogFormat(StrEnum):
    """How the log is written."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """What is written to the log: this and everything graver."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Misconfigured(Exception):
    """The settings do not fit; the message is one sentence for each, with the name, the value and what is right."""


class Settings(BaseSettings):
    """The environment variables, in capitals; an empty one is as if it were not set."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, extra="ignore", str_strip_whitespace=True)

    database_url: Annotated[
        str | None, Field(description="PostgreSQL to use, postgresql://user:password@host:port/name; none: embedded.")
    ] = None
    redis_url: Annotated[
        str | None,
        Field(description="Redis or Valkey to use, redis://host:port/0; none: embedded, where there is one."),
    ] = None
    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8080
    data_dir: Annotated[Path, Field(description="Folder for the data of embedded servers.")] = Path(".data")
    allow_anonymous: Annotated[
        bool, Field(description="1: listen on other addresses than loopback although anyone may do anything.")
    ] = False
    log_level: Annotated[LogLevel, Field(description="DEBUG, INFO, WARNING or ERROR.")] = LogLevel.INFO
    log_format: Annotated[LogFormat, Field(description="console for people, json for programs.")] = LogFormat.CONSOLE
    log_requests: Annotated[
        bool, Field(description="1: log every request, not only those that were refused, failed or slow.")
    ] = False
    command_queue: Annotated[
        int, Field(ge=1, le=1_000_000, description="Commands that may wait for the event log; more are refused (503).")
    ] = 10_000
    aggregate_cache: Annotated[
        int, Field(ge=0, le=10_000_000, description="Aggregates kept in memory between commands.")
    ] = 10_000
    snapshot_every: Annotated[
        int, Field(ge=1, le=1_000_000, description="Events of one aggregate after which a snapshot is taken.")
    ] = 500
    risk_free_rate: Annotated[
        Decimal, Field(ge=-1, le=10, description="Yearly rate for Sharpe ratios: 0.02 is 2 %.")
    ] = Decimal(0)
    portfolio_accounting_url: Annotated[
        str | None, Field(description="GlobeCo Portfolio Accounting Service, for the holdings that are rebalanced.")
    ] = None
    security_service_url: Annotated[
        str | None, Field(description="GlobeCo Security Service, for tickers; with PRICING_SERVICE_URL.")
    ] = None
    pricing_service_url: Annotated[
        str | None, Field(description="GlobeCo Pricing Service, for the prices of rebalances.")
    ] = None
    external_service_timeout: Annotated[
        Decimal, Field(gt=0, le=600, description="Seconds for a question to one of these, with all its retries.")
    ] = Decimal(10)
    trade_service_url: Annotated[
        str | None, Field(description="Trade Service, which knows the portfolio of an execution that does not say it.")
    ] = None
    trade_timeout: Annotated[
        Decimal, Field(gt=0, le=600, description="Seconds that one call of the Trade Service may take.")
    ] = Decimal(2)
    trade_retries: Annotated[int, Field(ge=0, le=100, description="How often a call is repeated after a failure.")] = 3
    trade_retry_delay_ms: Annotated[
        int, Field(ge=0, le=60_000, description="Milliseconds before the first repetition, then twice that each time.")
    ] = 100
    trade_breaker_failures: Annotated[
        int, Field(ge=1, le=1_000_000, description="Failed calls in a row after which the Trade Service is left alone.")
    ] = 10
    trade_breaker_reset: Annotated[Decimal, Field(gt=0, le=3600, description="Seconds that it is left alone then.")] = (
        Decimal(10)
    )
    request_timeout: Annotated[Decimal, Field(gt=0, le=600, description="Seconds for all look-ups of one request.")] = (
        Decimal(30)
    )
    book_executions: Annotated[
        bool, Field(description="0: recorded executions are not booked into their portfolios.")
    ] = True
    output_dir: Annotated[
        Path | None, Field(description="Folder for the files of accounting batches; none: files, in DATA_DIR.")
    ] = None
    cli_command: Annotated[
        str | None,
        Field(
            description="Accounting CLI, for example `portfolio-cli process --file {file} --output-dir {output_dir}`; "
            "`none`, or not set: the file alone is the delivery."
        ),
    ] = None
    cli_timeout: Annotated[
        Decimal, Field(gt=0, le=86_400, description="Seconds that one run of the accounting CLI may take.")
    ] = Decimal(300)
    cli_retries: Annotated[int, Field(ge=0, le=100, description="How often it is run again after a failure.")] = 3
    cli_retry_delay_ms: Annotated[
        int, Field(ge=0, le=600_000, description="Milliseconds before it is run again, then twice that each time.")
    ] = 500
    csv_quantity: Annotated[
        Literal["quantity", "filled"],
        Field(description="quantity or filled: which quantity of executions the files have."),
    ] = "quantity"
    delete_files: Annotated[
        bool, Field(description="1: a file is deleted once the CLI has taken it without rejecting anything.")
    ] = False
    solvers: Annotated[
        str,
        Field(min_length=1, description="Solvers for rebalances where cash binds, in order; HIGHS and SCIP are known."),
    ] = "HIGHS,SCIP"
    optimiser_workers: Annotated[
        int, Field(ge=1, le=256, description="Processes that solve rebalances; they start when one is first needed.")
    ] = 2
    max_optimization_time: Annotated[
        int, Field(ge=1, le=3600, description="Seconds after which a rebalance is answered with what was found.")
    ] = 30
    shutdown_timeout: Annotated[
        int, Field(ge=0, le=3600, description="Seconds that running requests have to end when the server stops.")
    ] = 30

    @field_validator("log_level", "log_format", "csv_quantity", mode="before")
    @classmethod
    def _whatever_the_case(cls, text: Any, info: Any) -> Any:
        if not isinstance(text, str):
            return text
        return text.strip().upper() if info.field_name == "log_level" else text.strip().lower()

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("postgresql://", "postgres://")):
            raise _wrong("say postgresql://user:password@host:port/name")
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("redis://", "rediss://", "unix://")):
            raise _wrong("say redis://host:port/0, rediss://... or unix:///path")
        return url

    @field_validator("portfolio_accounting_url", "security_service_url", "pricing_service_url", "trade_service_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise _wrong("say http://host:port or https://...")
        return url

    @field_validator("cli_command")
    @classmethod
    def _can_be_filled_in(cls, template: str | None) -> str | None:
        if template is None or not template.strip():
            return None
        try:
            words_of(template, CLI_PLACEHOLDERS)
        except ValueError as error:
            raise _wrong(str(error)) from None
        return template

    @model_validator(mode="after")
    def _prices_have_tickers(self) -> Settings:
        if (self.security_service_url is None) is not (self.pricing_service_url is None):
            raise PydanticCustomError(
                "incomplete",
                "SECURITY_SERVICE_URL and PRICING_SERVICE_URL belong together, prices there are by ticker: set both, "
                "or neither for prices of our own",
            )
        return self

    @model_validator(mode="after")
    def _is_guarded(self) -> Settings:
        if not self.allow_anonymous and not is_loopback(self.host):
            raise PydanticCustomError(
                "unguarded",
                "HOST is {host}, which others can reach, and there are no API keys: say 127.0.0.1, or set "
                "ALLOW_ANONYMOUS=1 to let anyone who reaches it do anything",
                {"host": repr(self.host)},
            )
        return self


def read_settings() -> Settings:
    """Return the settings of this process; raises ``Misconfigured`` with a sentence for each that is wrong."""
    faults = []
    if value := os.environ.get(_UNLOCKED_INSERT):
        faults.append(
            f"{_UNLOCKED_INSERT} is {value!r}: unset it, with it the event log would lose events to followers."
        )
    try:
        settings = Settings()
    except ValidationError as error:
        faults.extend(_sentence(fault) for fault in error.errors(include_url=False))
    else:
        if not faults:
            return settings
    raise Misconfigured("\n".join(faults))


def seconds(setting: Decimal) -> float:
    """Return a duration as timers take it, a binary float: time is no figure of a portfolio."""
    return float(setting)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def masked(text: str) -> str:
    """Return the text with the passwords of addresses in it made unreadable."""
    return _PASSWORD.sub("***", text)


def _wrong(right: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{right}", {"right": right})


def _sentence(fault: Any) -> str:
    if not fault["loc"]:
        return f"{fault['msg']}."
    shown, limits = masked(str(fault["input"])), fault.get("ctx", {})
    match fault["type"]:
        case "setting":
            right = fault["msg"]
        case "int_parsing" | "int_type" | "int_from_float":
            right = "say a whole number"
        case "bool_parsing" | "bool_type":
            right = "say 1 or 0"
        case "greater_than_equal":
            right = f"say {limits['ge']} or more"
        case "less_than_equal":
            right = f"say {limits['le']} or less"
        case "enum" | "literal_error":
            right = f"say {limits['expected']}"
        case _:
            right = fault["msg"][:1].lower() + fault["msg"][1:]
    return f"{str(fault['loc'][0]).upper()} is {shown!r}: {right}."
