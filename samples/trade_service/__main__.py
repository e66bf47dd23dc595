"""``python -m samples.trade_service``: the trade service as a process of its own, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from api.orphans import end_with_parent
from samples.trade_service.exact import loads
from samples.trade_service.server import TradeService
from samples.trade_service.switch import Mode, Switch


def main(arguments: list[str] | None = None) -> None:
    """Serve until asked to end."""
    end_with_parent()
    signal.signal(signal.SIGTERM, _end)
    asked = _parser().parse_args(arguments)
    how = {name: getattr(asked, name) for name in ("mode", "seconds", "calls", "share", "seed", "only")}
    try:
        switch = Switch.of({name: value for name, value in how.items() if value is not None})
        data = _read(asked.data) if asked.data else []
        service = TradeService(host=asked.host, port=asked.port, anyone=asked.any, switch=switch)
    except (OSError, ValueError) as error:
        sys.exit(f"trade service: {error}")
    try:
        known = service.keep(data)
        sys.stdout.write(f"trade service on {service.url}, {known} executions known, switched to {switch.mode}\n")
        sys.stdout.flush()
        signal.pause()
    except ValueError as error:
        sys.exit(f"trade service: {asked.data}: {error}")
    except KeyboardInterrupt:
        pass
    finally:
        service.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m samples.trade_service", description="A trade service to try the application against."
    )
    parser.add_argument("--port", type=int, default=8082, help="0: a free one (default: 8082)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data", type=Path, help="JSON file with the executions it knows, one or a list")
    parser.add_argument("--any", metavar="PORTFOLIO", help="the portfolio of every execution it does not know")
    parser.add_argument("--mode", default="ok", help=f"how it answers: {', '.join(Mode)}")
    parser.add_argument("--seconds", type=loads, help="slow: for so long")
    parser.add_argument("--calls", type=loads, help="error-first: so many of each id")
    parser.add_argument("--share", type=loads, help="flaky: of the calls, for example 0.3")
    parser.add_argument("--seed", help="flaky: another one fails others")
    parser.add_argument("--only", type=lambda text: loads(f"[{text}]"), help="the ids it fails for, for example 5,6")
    return parser


def _read(path: Path) -> list[object]:
    try:
        data = loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    return data if isinstance(data, list) else [data]


def _end(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
