"""API keys: what one is, how it is made, how it is written down, and how the key of a request is found."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from os import urandom
from typing import Final

PREFIX: Final = "flk_"
"""What every key that we make begins with: so people and scanners of secrets know one when they see it."""
_RANDOM: Final = 32
"""Bytes."""
_SHOWN: Final = 12
"""Characters that are repeated at most of what is wrong: it may be a secret in the wrong place."""

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}\Z")
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}\Z")


class Scope(StrEnum):
    """What a key opens; each stands by itself, none contains another."""

    READ = "read"
    """Everything that is asked."""
    WRITE = "write"
    """Every command but the operators'."""
    ADMIN = "admin"
    """The operators' commands: what has failed is done again, what was done is undone."""


class Unfit(ValueError):
    """A key's name, hash or scopes cannot be; the message is half a sentence that says what is right."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key: who has it, and what it opens."""

    name: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as it is written down: never itself, only its SHA-256.

    One round of SHA-256 is enough, and no salt and no slow hash is needed: those are for passwords, which can be
    guessed. A key is 256 random bits, and nobody tries 2^255 of them at whatever speed.
    """

    digest: bytes
    key: Key

    @property
    def line(self) -> str:
        """It in a file: ``name sha256hex read,write``."""
        return f"{self.key.name} {self.digest.hex()} {_together(self.key.scopes, ',')}"

    @property
    def item(self) -> str:
        """It in a variable: ``name:sha256hex:read+write``."""
        return f"{self.key.name}:{self.digest.hex()}:{_together(self.key.scopes, '+')}"


class Keys:
    """The keys that count; two may have one name, so that a new one can take over from an old one.

    A token is looked up by its digest in a dictionary, which does not take the same time for every digest. That tells
    nothing: who guesses tokens does not choose their digests, and a digest, were it known, does not lead to the token.
    """

    def __init__(self, by_digest: Mapping[bytes, Key]) -> None:
        self._by_digest = dict(by_digest)
        self.names = tuple(sorted({key.name for key in by_digest.values()}))

    def __len__(self) -> int:
        return len(self._by_digest)

    def of(self, token: bytes) -> Key | None:
        """Return the key that this token is; None where it is none."""
        return self._by_digest.get(sha256(token).digest())


def made() -> str:
    """Return a new key; nobody else has it, and it is stored nowhere."""
    return PREFIX + urlsafe_b64encode(urandom(_RANDOM)).rstrip(b"=").decode("ascii")


def entry_of(token: str, name: str, scopes: Iterable[str]) -> Entry:
    """Return how a key is written down; raises ``Unfit`` for the name or a scope."""
    return Entry(sha256(token.encode()).digest(), Key(_name(name), _scopes(list(scopes), "each with --scope")))


def read_line(line: str) -> Entry:
    """Return the key of a line ``name sha256hex read,write``; raises ``Unfit``."""
    words = line.split()
    if len(words) != 3:
        raise Unfit(f"has {_number(len(words))}: write `name sha256hex read,write`, with blanks between the three")
    return _entry(*words, separator=",")


def read_item(item: str) -> Entry:
    """Return the key of an entry ``name:sha256hex:read+write``; raises ``Unfit``. Names may have colons in them."""
    words = item.strip().rsplit(":", 2)
    if len(words) != 3:
        raise Unfit(f"has {_number(len(words))}: write `name:sha256hex:read+write`, with colons between the three")
    return _entry(*words, separator="+")


def collected(entries: Iterable[tuple[str, Entry]]) -> Keys:
    """Return the keys of these entries, each with its place; raises ``Unfit`` where one is there twice."""
    found: dict[bytes, Key] = {}
    places: dict[bytes, str] = {}
    for place, entry in entries:
        if entry.digest in found:
            raise Unfit(f"{place} has the same key as {places[entry.digest]}: leave one of them out")
        found[entry.digest], places[entry.digest] = entry.key, place
    return Keys(found)


def _entry(name: str, digest: str, scopes: str, *, separator: str) -> Entry:
    if digest.startswith(PREFIX):
        raise Unfit(
            "has a key itself where its SHA-256 belongs: it is no secret any more, make a new one with "
            "`./run keys create`"
        )
    if not _DIGEST.match(digest):
        raise Unfit(
            f"has {len(digest)} characters where the SHA-256 of the key belongs: 64 hexadecimal digits, as "
            "`./run keys create` says them"
        )
    how = f"several with {separator!r} between them"
    return Entry(bytes.fromhex(digest), Key(_name(name), _scopes(scopes.split(separator), how)))


def _name(name: str) -> str:
    if not _NAME.match(name):
        raise Unfit(f"has the name {_shown(name)}: give 1 to 100 of A-Z a-z 0-9 _ . : -")
    return name


def _scopes(words: list[str], how: str) -> frozenset[Scope]:
    scopes = frozenset(scope for scope in Scope if scope in words)
    unknown = next((word for word in words if word not in frozenset(Scope)), None)
    if unknown is not None or not scopes:
        raise Unfit(
            f"has {'no scope' if unknown is None else f'the scope {_shown(unknown)}'}: say read, write or admin, {how}"
        )
    return scopes


def _shown(text: str) -> str:
    """Return the beginning of a text that is wrong, so that neither a key nor a whole hash is ever repeated."""
    return "that is a key itself" if text.startswith(PREFIX) else ascii(text[:_SHOWN]) + "..." * (len(text) > _SHOWN)


def _together(scopes: frozenset[Scope], separator: str) -> str:
    return separator.join(scope for scope in Scope if scope in scopes)


def _number(count: int) -> str:
    return f"{count} part{'' if count == 1 else 's'}"
