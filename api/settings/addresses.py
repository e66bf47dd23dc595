"""What an address must be before anything is asked of it: whole, readable, and with nothing that ends it too early."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from api.settings.sentences import wrong

_WRITTEN: Final = "with a port from 1 to 65535, and % # / ? @ in a password written as %25 %23 %2F %3F %40"
_LABEL: Final = re.compile(r"\w(?:[\w-]{0,61}\w)?")
_FOUR_NUMBERS: Final = re.compile(r"(?:\d+\.){3}\d+", re.ASCII)
_DIGITS: Final = re.compile(r"\d{1,5}", re.ASCII)
_REDIS_PATH: Final = re.compile(r"/?\d{0,9}", re.ASCII)


def http(url: str, right: str) -> str:
    """Return the address of a service over HTTP; raises the error of a setting, which says what is ``right``."""
    parts = _split(url, ("http://", "https://"), right)
    if parts.query or not _with_host(parts):
        raise wrong(f"{right}, {_WRITTEN}")
    return url


def redis(url: str, right: str) -> str:
    """Return the address of a Redis; raises the error of a setting, which says what is ``right``."""
    parts = _split(url, ("redis://", "rediss://", "unix://"), right)
    fits = parts.path if parts.scheme == "unix" else _with_host(parts) and _REDIS_PATH.fullmatch(parts.path)
    if not fits:
        raise wrong(f"{right}, {_WRITTEN}")
    return url


def postgresql(url: str, right: str) -> str:
    """Return the address of a PostgreSQL, as libpq reads it; raises the error of a setting, as above.

    It need not name a host (that of a socket stands behind the question mark) and may name several.
    """
    if not url.startswith(("postgresql://", "postgres://")):
        raise wrong(right)
    authority, _, rest = url.partition("://")[2].partition("/")
    try:
        read = conninfo_to_dict(url)
    except (psycopg.Error, ValueError):  # they would show the password
        read = None
    lost = authority.count("@") > 1 or "@" in rest.partition("?")[0]
    if read is None or lost or not all(map(_port, str(read.get("port") or "").split(","))):
        raise wrong(f"{right}, {_WRITTEN}")
    return url


def brokers(listed: str, right: str) -> str:
    """Return the addresses of Kafka's brokers; raises the error of a setting, which says what is ``right``."""
    for broker in listed.split(","):
        host, colon, port = broker.strip().rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not (colon and port and _port(port) and _host(host[1:-1] if bracketed else host, bracketed=bracketed)):
            raise wrong(f"{right}, with ports from 1 to 65535")
    return listed


def _split(url: str, schemes: tuple[str, ...], right: str) -> SplitResult:
    if not url.startswith(schemes):
        raise wrong(right)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  to read it is to check it
    except ValueError:
        raise wrong(f"{right}, {_WRITTEN}") from None
    if parts.fragment or "#" in url or parts.netloc.count("@") > 1 or any(map(str.isspace, url)):
        raise wrong(f"{right}, {_WRITTEN}")
    return parts


def _with_host(parts: SplitResult) -> bool:
    """Whether it names a host, and has no ``@`` behind it: that would be the end of a password."""
    bracketed = "[" in parts.netloc
    behind = f"{parts.path}{parts.query}"
    return parts.port != 0 and "@" not in behind and _host(parts.hostname or "", bracketed=bracketed)


def _host(host: str, *, bracketed: bool) -> bool:
    """Whether it may be a name or an address of version 4, or of version 6 in brackets."""
    labels = host.removesuffix(".").split(".")
    try:
        if bracketed or _FOUR_NUMBERS.fullmatch(host):
            return ipaddress.ip_address(host).version == (6 if bracketed else 4)
        host.encode("idna")
    except ValueError:
        return False
    return all(map(_LABEL.fullmatch, labels))


def _port(text: str) -> bool:
    """Whether it may be a port; none is the usual one."""
    return not text or (_DIGITS.fullmatch(text) is not None and 1 <= int(text) <= 65535)
