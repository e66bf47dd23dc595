"""Finds a Java that is new enough: ES_JAVA_HOME, JAVA_HOME, then the newest where systems keep theirs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path


class Missing(Exception):
    """What Kafka or Elasticsearch needs is not on this machine; the message names it and the remedy."""


def java_home(least: int) -> Path:
    """Return the folder of a Java of at least this major version; raises Missing where there is none."""
    named = [Path(os.environ[name]) for name in ("ES_JAVA_HOME", "JAVA_HOME") if os.environ.get(name)]
    installed = sorted(_installed(), key=_version, reverse=True)
    for home in [*named, *installed]:
        if _version(home) >= least:
            return home
    found = ", ".join(f"Java {_version(home)} in {home}" for home in [*named, *installed]) or "none was found"
    raise Missing(f"Java {least} or newer is needed ({found}): install a JDK, or set ES_JAVA_HOME or JAVA_HOME")


def _installed() -> Iterator[Path]:
    program = shutil.which("java")
    if program:
        yield Path(program).resolve().parent.parent
    yield from Path("/usr/lib/jvm").glob("*")
    yield from Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home")


def _version(home: Path) -> int:
    """The major version its `release` file names; 0 for what is no Java."""
    try:
        text = (home / "release").read_text() if (home / "bin" / "java").exists() else ""
    except OSError:
        return 0
    found = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    return int(found[1]) if found else 0
