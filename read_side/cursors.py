"""What a question to a view must be whoever answers it, and the cursors of its pages, which are the same everywhere."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from domain.errors import Fault, Invalid
from read_side.store import Kind, Listed, R, Search, View
from read_side.texts import storable

_DIGITS: Final = 1_000
"""Numbers have fewer digits than that before and after the point."""
_TYPES: Final[dict[Kind, Any]] = {
    Kind.KEYWORD: str,
    Kind.TEXT: str,
    Kind.POSITION: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)],
    Kind.MOMENT: datetime,
    Kind.NUMBER: Decimal,
}


def cursor_of(view: View[R], search: Search, row: R) -> str:
    """Return the cursor of the page behind this row."""
    value = getattr(row, search.sort.lstrip("-"))
    content = msgspec.json.encode((search.sort, value, getattr(row, view.key)))
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def resumed(view: View[Any], search: Search) -> tuple[Any, str] | None:
    """Return the sort value and key after which the page begins; None for a first page.

    Raises ``Invalid`` for a cursor that the search cannot have given and for a text that no row can hold,
    ``ValueError`` for a field of texts.
    """
    last = None if search.cursor is None else _last(view, search, search.cursor)
    if search.text is not None and not storable(search.text):
        raise Invalid(Fault("search", "holds a character that no text can have"))
    sort = search.sort.lstrip("-")
    for name in (sort, *search.equals, *search.between):
        if view.fields[name] is Kind.TEXT:
            raise _of_texts(view, name)
    if last is not None and search.equals.get(sort, last[0]) != last[0]:
        raise Invalid(Fault("cursor", "is of another search: begin again without it"))
    return last


def check_listed(view: View[Any], listed: Listed) -> None:
    """Raise ``ValueError`` for a name that is no field, and for a field of texts."""
    sorts = [name.removeprefix("-") for name in listed.sort]
    for name in (*sorts, *listed.equals, *listed.any_of):
        if name not in view.fields and not (name == view.key and name in sorts):
            raise ValueError(f"view {view.name} has no field {name}")
        if view.fields.get(name) is Kind.TEXT:
            raise _of_texts(view, name)
    if listed.has is not None and listed.has not in view.fields:
        raise ValueError(f"view {view.name} has no field {listed.has}")


def _of_texts(view: View[Any], name: str) -> ValueError:
    return ValueError(f"field {name} of view {view.name} is of texts: it has neither values nor an order")


def _last(view: View[Any], search: Search, cursor: str) -> tuple[Any, str]:
    kind = view.fields[search.sort.lstrip("-")]
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        sort, value, key = msgspec.json.decode(content, type=tuple[str, Any, str])
        value = msgspec.convert(value, _TYPES[kind])
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise Invalid(Fault("cursor", "is not the `next` of a page: take it as it was given")) from error
    if sort != search.sort or not storable(key) or not _comparable(value):
        raise Invalid(Fault("cursor", "is of another search: begin again without it"))
    return value, key


def _comparable(value: Any) -> bool:
    """Whether a server can compare with this."""
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value.adjusted()) < _DIGITS
    return storable(value)
