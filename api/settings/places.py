"""Paths that somebody gives: ``~`` is a home, and what is relative begins in the folder where he stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from api.settings.sentences import Misconfigured, wrong

CALLED_FROM: Final = "FOLIOLOG_CALLED_FROM"
"""Environment variable in which `./run`, which goes to the project's folder, keeps the one it was called from."""


def placed(path: Path) -> Path:
    """Return the path that was meant; raises ``Misconfigured`` for the home of a user that there is not."""
    try:
        return _placed(path)
    except PydanticCustomError as error:
        raise Misconfigured(f"{str(path)!r}: {error.message()}.") from None


def _placed(path: Path) -> Path:
    try:
        meant = path.expanduser()
    except RuntimeError:
        raise wrong("name a folder without ~, the home of that user is not known") from None
    return Path(os.environ.get(CALLED_FROM, "")) / meant


Place = Annotated[Path, AfterValidator(_placed)]
"""A setting that is a path; a default, which nobody gave, stays as it is written."""
