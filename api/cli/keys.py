"""``keys``: API keys for callers; a key is shown once, and only its SHA-256 is ever written down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from api.cli.failing import Failed, sentences
from api.security.keys import Entry, Unfit, entry_of, made
from api.settings import placed


def keys() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(help="API keys for callers.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(create)
    return group


@sentences
def create(
    name: Annotated[str, typer.Argument(help="Who gets the key; every event of its commands carries this name.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it opens: read, write or admin (operators' commands); give one --scope for each."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Add it to this file, for API_KEYS_FILE, and print the key alone.")
    ] = None,
) -> None:
    """Make an API key and print it, once."""
    key, file = made(), file and placed(file)
    try:
        entry = entry_of(key, name, scope or ())
    except Unfit as error:
        raise Failed(f"the key {error}") from None
    if file is not None:
        _add(file, entry)
        print(key)
        return
    print(key)
    print(f"\nThis is the key of {name}. It is stored nowhere and not shown again: hand it over now.")
    print("The server needs one of these, and takes it when it starts:")
    print(f"  a line in the file that API_KEYS_FILE names  {entry.line}")
    print(f"  an entry in API_KEYS, with commas between    {entry.item}")


def _add(path: Path, entry: Entry) -> None:
    """Add a line to the file; a new file is for its owner alone. Raises ``Failed``."""
    line = entry.line + "\n"
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
            written = file.read()
            file.write((b"" if written.endswith(b"\n") or not written else b"\n") + line.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Failed(f"{path} cannot be written ({error.strerror}): name a file in a folder that is there") from error
