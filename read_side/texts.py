"""What holds for texts that are searched, whatever searches them."""

from __future__ import annotations

from typing import Any


def folded(text: str) -> str:
    """Return the text as it is searched: the same everywhere, whatever the server's locale."""
    return text.casefold()


def storable(value: Any) -> bool:
    """Whether a server can hold this: no NUL and no half of a surrogate pair is in a text of its."""
    return not isinstance(value, str) or not any(each == "\0" or "\ud800" <= each <= "\udfff" for each in value)
