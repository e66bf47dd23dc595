"""What goes wrong on the command line is one sentence on standard error and a non-zero exit code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import psycopg

from api.embedded import EmbeddedError
from api.settings import Misconfigured, masked
from api.supervisor import GaveUp
from domain.errors import FoliologError

P = ParamSpec("P")


class Failed(Exception):
    """A command cannot do what was asked; the message says what would help."""


def sentences(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command: errors that are meant for people end it with their sentence and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (Failed, Misconfigured, EmbeddedError, GaveUp, FoliologError) as error:
            print(f"foliolog: {error}", file=sys.stderr)
            sys.exit(1)
        except psycopg.Error as error:
            print(f"foliolog: PostgreSQL cannot be used: {' '.join(masked(str(error)).split())}", file=sys.stderr)
            sys.exit(1)

    return run
