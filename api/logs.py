"""The log: structlog to standard error, for people or as JSON lines; the standard library's loggers go the same way."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO

import msgspec
import structlog

_JSON = msgspec.json.Encoder(enc_hook=str)


def configure(
    level: str = "INFO", form: Literal["console", "json"] = "console", *, stream: TextIO | None = None
) -> None:
    """Set up logging for this process; called once, by whoever starts it."""
    out = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Any] = (
        [structlog.processors.format_exc_info, _as_json]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.INFO))
    for library in ("alembic", "httpx2", "uvicorn"):
        logging.getLogger(library).setLevel(max(number, logging.WARNING))
    # What these try again they tell many times a second; what lasts is raised, and told by us.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _as_json(_logger: Any, _name: str, event: Any) -> str:
    return _JSON.encode(event).decode()
