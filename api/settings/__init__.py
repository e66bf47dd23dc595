"""Everything that can be set: environment variables, their defaults, and one sentence for each that is wrong."""

from __future__ import annotations

import ipaddress
import os
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from api.settings.keys import WithKeys
from api.settings.places import CALLED_FROM, placed
from api.settings.sentences import Misconfigured, masked, sentence, wrong
from api.settings.servers import Servers
from api.settings.services import Services
from write_side.optimiser.known import KNOWN

__all__ = [
    "CALLED_FROM",
    "LogFormat",
    "LogLevel",
    "Misconfigured",
    "Settings",
    "is_loopback",
    "masked",
    "placed",
    "read_settings",
    "seconds",
]

_UNLOCKED_INSERT: Final = "POSTGRES_ENABLE_DB_FUNCTIONS"


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


class Settings(Servers, Services, WithKeys):
    """The environment variables, in capitals; an empty one is as if it were not set."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, extra="ignore", str_strip_whitespace=True)

    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8080
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

    @field_validator("solvers")
    @classmethod
    def _are_known(cls, listed: str) -> str:
        names = [name.strip().upper() for name in listed.split(",")]
        if set(names) - KNOWN.keys() or len(set(names)) < len(names):
            raise wrong(f"say {','.join(KNOWN)}, in the order in which they are tried, or one of them")
        return ",".join(names)

    @model_validator(mode="after")
    def _is_guarded(self) -> Settings:
        if self.has_keys and self.allow_anonymous:
            raise PydanticCustomError(
                "contradiction",
                "ALLOW_ANONYMOUS is 1 and there are API keys: unset it, or API_KEYS and API_KEYS_FILE; with keys "
                "nobody is anonymous",
            )
        if not self.has_keys and not self.allow_anonymous and not is_loopback(self.host):
            raise PydanticCustomError(
                "unguarded",
                "HOST is {host}, which others can reach, and there are no API keys: say 127.0.0.1, make keys with "
                "`./run keys create` and set API_KEYS or API_KEYS_FILE, or set ALLOW_ANONYMOUS=1 to let anyone who "
                "reaches it do anything",
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
        faults.extend(sentence(fault) for fault in error.errors(include_url=False))
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
