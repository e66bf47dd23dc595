"""A command line with placeholders: split once by the quoting rules of a shell, never run by one (contract "001")."""

from __future__ import annotations

import shlex
import string
from collections.abc import Sequence


def words_of(template: str, placeholders: Sequence[str]) -> list[str]:
    """Return the words of a template, which may name these placeholders in braces; ``str.format`` fills them in.

    Raises ``ValueError`` saying what is wrong with it.
    """
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise ValueError(f"it cannot be split into words: {error}") from error
    if not words:
        raise ValueError("it is empty")
    for word in words:
        try:
            parts = list(string.Formatter().parse(word))
        except ValueError as error:
            raise ValueError(f"{error} in {word!r}; a brace itself is written twice") from error
        for _, name, form, conversion in parts:
            if name is not None and (name not in placeholders or form or conversion):
                known = ", ".join(f"{{{each}}}" for each in placeholders)
                raise ValueError(f"{{{name}}} in {word!r} is none of {known}")
    return words


CLI_PLACEHOLDERS = ("file", "filename", "output_dir", "batch", "attempt")
"""What the command of the accounting CLI may name."""
