"""What is said of a setting that does not fit: its name, its value without passwords, and what is right."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import PydanticCustomError

_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")
_IN_ADDRESS = re.compile(r"(://[^\s:@/]*):\S*@")
_IN_VALUE = re.compile(r"((?:[\w+.-]+://)?[^:@]*):.*@", re.DOTALL)
_WITHOUT_HOST = re.compile(r"(://):[^@]*\Z", re.DOTALL)
_ENDED_EARLY = re.compile(r"(://[^:@]*):[^@]*#.*", re.DOTALL)
_QUERY = re.compile(r"\A(https?://[^?@]*)\?.*", re.DOTALL)
_NAMED = re.compile(r"(password\s*=\s*)(?:'[^']*'?|\S+)", re.IGNORECASE)


class Misconfigured(Exception):
    """The settings do not fit; the message is one sentence for each, with the name, the value and what is right."""


def masked(text: str) -> str:
    """Return a text with the passwords of addresses in it made unreadable."""
    return _PASSWORD.sub("***", _IN_ADDRESS.sub(r"\1:***@", _NAMED.sub(r"\1***", text)))


def _masked_value(text: str) -> str:
    """Return a value without what may be a password: whatever stands in it, all from the first colon to the last @.

    Where the @ was forgotten: what stands in place of a port before a # or without a host, and any query over HTTP.
    """
    without = _IN_VALUE.sub(r"\1:***@", text, count=1)
    for pattern, shown in ((_WITHOUT_HOST, r"\1:***"), (_ENDED_EARLY, r"\1:***"), (_QUERY, r"\1?***")):
        without = pattern.sub(shown, without, count=1)
    return _NAMED.sub(r"\1***", without)


def wrong(right: str) -> PydanticCustomError:
    """Return the error of a value for which there is something right to say."""
    return PydanticCustomError("setting", "{right}", {"right": right})


def sentence(fault: Any) -> str:
    """Return one fault that pydantic found as a sentence."""
    if not fault["loc"]:
        return f"{fault['msg']}."
    shown, limits = _masked_value(str(fault["input"])), fault.get("ctx", {})
    match fault["type"]:
        case "setting":
            right = fault["msg"]
        case "int_parsing" | "int_type" | "int_from_float":
            right = "say a whole number"
        case "bool_parsing" | "bool_type":
            right = "say 1 or 0"
        case "greater_than_equal":
            right = f"say {limits['ge']} or more"
        case "less_than_equal":
            right = f"say {limits['le']} or less"
        case "enum" | "literal_error":
            right = f"say {limits['expected']}"
        case _:
            right = fault["msg"][:1].lower() + fault["msg"][1:]
    return f"{str(fault['loc'][0]).upper()} is {shown!r}: {right}."
