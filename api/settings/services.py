"""Settings of the services of others that are asked, and of accounting, which takes our files."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

from api.settings import addresses
from api.settings.places import Place
from api.settings.sentences import wrong
from domain.command_line import CLI_PLACEHOLDERS, words_of


class Services(BaseSettings):
    """GlobeCo's services, the Trade Service and the accounting CLI."""

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
        Place | None, Field(description="Folder for the files of accounting batches; none: files, in DATA_DIR.")
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
        int,
        Field(ge=0, le=600_000, description="Milliseconds before it is run again, then twice that, up to a minute."),
    ] = 500
    csv_quantity: Annotated[
        Literal["quantity", "filled"],
        Field(description="quantity or filled: which quantity of executions the files have."),
    ] = "quantity"
    delete_files: Annotated[
        bool, Field(description="1: a file is deleted once the CLI has taken it without rejecting anything.")
    ] = False

    @field_validator("portfolio_accounting_url", "security_service_url", "pricing_service_url", "trade_service_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        return url if url is None else addresses.http(url, "say http://host:port or https://...")

    @field_validator("cli_command")
    @classmethod
    def _can_be_filled_in(cls, template: str | None) -> str | None:
        if template is None or not template.strip():
            return None
        try:
            words_of(template, CLI_PLACEHOLDERS)
        except ValueError as error:
            raise wrong(str(error)) from None
        return template

    @model_validator(mode="after")
    def _prices_have_tickers(self) -> Services:
        if (self.security_service_url is None) is not (self.pricing_service_url is None):
            raise PydanticCustomError(
                "incomplete",
                "SECURITY_SERVICE_URL and PRICING_SERVICE_URL belong together, prices there are by ticker: set both, "
                "or neither for prices of our own",
            )
        return self
