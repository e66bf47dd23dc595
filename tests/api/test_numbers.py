"""JSON without floats: every digit arrives, and nothing that is not a number by JSON's grammar is one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.numbers import Moment, Number, loads
from api.problems import RequestProblem
from domain.values import plain

NUMBER: TypeAdapter[Decimal] = TypeAdapter(Number)
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


def read(text: str) -> Decimal:
    return NUMBER.validate_python(loads(text.encode()))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("57.12345679", "57.12345679"),
        ("0.1", "0.1"),
        ("123456789012345.12345678", "123456789012345.12345678"),
        ("123456789012345.1234567890123456", "123456789012345.1234567890123456"),
        ('"57.123456789000004"', "57.123456789000004"),
        ("1e3", "1000"),
        ("1E-8", "0.00000001"),
        ('"-0.10"', "-0.10"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("1." + "0" * 300, "1"),
        ("9" * 400, "9" * 400),
    ],
)
def test_every_digit_arrives(text: str, number: str) -> None:
    assert read(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        '"NaN"', '"nan"', '"sNaN"', '"Infinity"', '"-inf"', '"1_0"', '"1,5"', '"1 000"', '" 1"', '"1 "', '"+1"', '".5"',
        '"5."', '"007"', '"0x10"', '""', '"one"', '"\u0661\u0662"', '"\uff11\uff12"', '"1e"',
        '"1e+"', '"--1"', '"\u22121"', '"1\\n"',
        "true", "false", "null", "[]", "[1]", "{}",
        "1e999999999", '"1e999999999"', "1e-999999999", '"-1E101"', "1e99999999999999999999999",
        '"1e99999999999999999999"',
        "1" * 401, "0." + "1" * 400, '"' + "1" * 5000 + '"',
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_before_any_arithmetic(text: str) -> None:
    with pytest.raises(ValidationError):
        read(text)


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**15), max_value=10**15))
def test_a_number_comes_back_as_it_was_whichever_way_it_is_written(number: Decimal) -> None:
    text = plain(number)
    assert read(text) == read(f'"{text}"') == number
    assert plain(read(text)) == text


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{'a': 1}", b'{"a": 1,}', b"[1] [2]", b"nothing", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00",
        b'{"a": "\xff"}', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "b": 2}}', b'{"a": 01}', b'{"a": .5}', b'{"a": +1}', b'{"a": 1_0}', b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}', b'{"a": "\n"}', b"[" * 100_000, b'{"a":' * 100_000, "\u0661".encode(),
    ],
)  # fmt: skip
def test_what_is_not_json_is_told_so(body: bytes) -> None:
    with pytest.raises(RequestProblem) as refused:
        loads(body)
    assert refused.value.problem.status == 400
    assert refused.value.problem.code == "not-json"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        ('"é"'.encode(), "é"),
        (b' {"a": [1, 2.50, "x", null, true]} ', {"a": [1, Decimal("2.50"), "x", None, True]}),
        (b'{"a": 1, "b": {"a": 1}}', {"a": 1, "b": {"a": 1}}),
    ],
)
def test_what_is_json_is_read(body: bytes, value: Any) -> None:
    assert loads(body) == value


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-06-21T10:00:00Z", datetime(2025, 6, 21, 10, tzinfo=UTC)),
        ("2025-06-21t10:00:00z", datetime(2025, 6, 21, 10, tzinfo=UTC)),
        ("2025-06-21T12:00:00+02:00", datetime(2025, 6, 21, 10, tzinfo=UTC)),
        ("2025-06-21T04:30:00.5-05:30", datetime(2025, 6, 21, 10, 0, 0, 500_000, UTC)),
        ("2025-06-21T10:00:00.123456999Z", datetime(2025, 6, 21, 10, 0, 0, 123_456, UTC)),
        ("2025-06-21T10:00:00-00:00", datetime(2025, 6, 21, 10, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_utc(text: str, moment: datetime) -> None:
    read = MOMENT.validate_python(text)
    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2025-06-21T10:00:00", "2025-06-21", "2025-06-21 10:00:00Z", "2025-06-21T10:00Z", "2025-6-21T10:00:00Z",
        "2025-06-21T10:00:00.Z", "2025-06-21T10:00:00+0200", "2025-06-21T10:00:00+02", "2025-02-30T10:00:00Z",
        "2023-02-29T10:00:00Z", "2025-06-21T24:00:00Z", "2025-06-21T10:60:00Z", "2016-12-31T23:59:60Z",
        "2025-06-21T10:00:00+24:00", "2025-06-21T10:00:00+02:60", "0001-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00", "\u0662025-06-21T10:00:00Z", "2025-06-21T10:00:00Z ", "now", "",
        1750500000, None, True, Decimal("1750500000.5"), [], "2025-06-21T10:00:00." + "1" * 1000 + "Z",
    ],
)  # fmt: skip
def test_what_is_no_time_or_says_no_offset_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(value)
