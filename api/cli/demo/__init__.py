"""``demo``: the application with sample portfolios, loaded over HTTP and shown as tables."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from api.cli.failing import Failed, sentences
from api.settings import placed


@sentences
def demo(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on (PORT, 8080).")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the demo's own servers and data (.data/demo).")
    ] = None,
    stop: Annotated[bool, typer.Option("--exit", help="Stop at the end instead of serving on.")] = False,
) -> None:
    """Serve with twenty sample portfolios: load what is not there yet, show them, and serve on."""
    if find_spec("samples") is None:
        raise Failed("the demo needs the folder samples/ of the sources, which is not here: start it there")
    from api.cli.demo.running import run

    run(port, Path(".data/demo") if data_dir is None else placed(data_dir), stop=stop)
