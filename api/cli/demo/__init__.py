"""``demo``: the application with sample portfolios, loaded over HTTP and shown as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.failing import sentences


@sentences
def demo(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on (PORT, 8080).")] = None,
    data_dir: Annotated[Path, typer.Option(help="Folder of the demo's own servers and data.")] = Path(".data/demo"),
    stop: Annotated[bool, typer.Option("--exit", help="Stop at the end instead of serving on.")] = False,
) -> None:
    """Serve with twenty sample portfolios: load what is not there yet, show them, and serve on."""
    from api.cli.demo.running import run

    run(port, data_dir, stop=stop)
