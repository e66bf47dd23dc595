"""Settings of API keys: those in a variable and those in a file, read when a process starts that answers HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

from api.security.keys import Entry, Keys, Unfit, collected, read_item, read_line
from api.settings.places import Place
from api.settings.sentences import Misconfigured


class WithKeys(BaseSettings):
    """API keys; without any of them whoever reaches the server is let in."""

    api_keys: Annotated[
        SecretStr | None, Field(description="API keys, name:sha256hex:read+write, with commas between them.")
    ] = None
    api_keys_file: Annotated[
        Place | None, Field(description="File of API keys, on each line: name sha256hex read,write.")
    ] = None

    @model_validator(mode="after")
    def _keys_can_be_read(self) -> WithKeys:
        try:
            collected(_in_variable(self.api_keys))
        except Unfit as error:
            raise PydanticCustomError("keys", "{said}", {"said": str(error)}) from None
        return self

    @property
    def has_keys(self) -> bool:
        """Whether callers need a key."""
        return self.api_keys is not None or self.api_keys_file is not None

    def read_keys(self) -> Keys | None:
        """Return the API keys, None where none are set; reads the file.

        Raises ``Misconfigured`` with a sentence about the file, or the line of it, that does not fit.
        """
        if not self.has_keys:
            return None
        try:
            return collected([*_in_variable(self.api_keys), *_in_file(self.api_keys_file)])
        except Unfit as error:
            raise Misconfigured(f"{error}.") from None


def _in_variable(text: SecretStr | None) -> Iterator[tuple[str, Entry]]:
    if text is None:
        return
    items = [item for item in text.get_secret_value().split(",") if item.strip()]
    if not items:
        raise Unfit("API_KEYS has no key: write name:sha256hex:read+write, or unset it")
    for number, item in enumerate(items, start=1):
        yield _at(f"entry {number} of API_KEYS", read_item, item)


def _in_file(path: Path | None) -> Iterator[tuple[str, Entry]]:
    if path is None:
        return
    name = f"API_KEYS_FILE {str(path)!r}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Unfit(f"{name} cannot be read ({error.strerror}): name a file that this user may read") from None
    except UnicodeDecodeError:
        raise Unfit(f"{name} is no text in UTF-8: write on each line `name sha256hex read,write`") from None
    written = [(number, line.partition("#")[0]) for number, line in enumerate(lines, start=1)]
    entries = [(number, line) for number, line in written if line.strip()]
    if not entries:
        raise Unfit(f"{name} has no key: add one with `./run keys create NAME --scope read --file {path}`")
    for number, line in entries:
        yield _at(f"line {number} of {name}", read_line, line)


def _at(place: str, read: Callable[[str], Entry], text: str) -> tuple[str, Entry]:
    """Return the key with its place; raises ``Unfit`` with the whole sentence."""
    try:
        return place, read(text)
    except Unfit as error:
        raise Unfit(f"{place} {error}") from None
