"""deploy/Dockerfile and .dockerignore as the tests see them: instructions, what is copied, what is left out."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

from tests.architecture.tree import ROOT

FILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word in capitals and all that follows, on one line."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """What follows, as a list: of JSON where it is one, else split as a shell does."""
        if self.rest.startswith("["):
            listed: list[str] = json.loads(self.rest)
            return listed
        return shlex.split(self.rest)


@cache
def instructions() -> tuple[Instruction, ...]:
    """Return all instructions in their order."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    pairs = [line.split(None, 1) for line in whole.splitlines() if line.strip()]
    return tuple(Instruction(word.upper(), rest.strip()) for word, rest in pairs)


def all_of(word: str) -> list[Instruction]:
    """Return all instructions with this word."""
    return [each for each in instructions() if each.word == word]


def the(word: str) -> Instruction:
    """Return the last instruction with this word, which is the one that counts."""
    return all_of(word)[-1]


def healthcheck() -> list[str]:
    """Return the command that tells whether a container is well."""
    return Instruction("CMD", the("HEALTHCHECK").rest.partition("CMD ")[2]).words


def environment() -> dict[str, str]:
    """Return what the image sets for its processes."""
    return dict(word.split("=", 1) for each in all_of("ENV") for word in each.words)


def copied() -> dict[PurePosixPath, str]:
    """Return what is copied out of the source tree, each with the place it goes to."""
    found: dict[PurePosixPath, str] = {}
    for each in all_of("COPY"):
        *sources, target = each.words
        if not sources[0].startswith("--from"):
            found |= {PurePosixPath(source): target for source in sources}
    return found


def folders() -> list[Path]:
    """Return the folders of the source tree that are in the image, beside each other under /app."""
    return [ROOT / source for source, target in copied().items() if target == f"/app/{source}/"]


def left_out(path: PurePosixPath) -> bool:
    """Return whether .dockerignore keeps a path of the source tree from the build; the last line that fits counts."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            fits = any(_fits(each, pattern.removeprefix("!")) for each in (path, *path.parents))
            out = not pattern.startswith("!") if fits else out
    return out


def _fits(path: PurePosixPath, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(path.name, pattern[3:])
    ours, theirs = path.parts, PurePosixPath(pattern).parts
    return len(ours) == len(theirs) and all(map(fnmatch, ours, theirs))
