"""Events as they are published: every released event goes out by CloudEvents and comes back as it stands in the log."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

import domain
from domain.base import Recorded
from domain.codec import decode, encode
from domain.errors import Broken
from domain.published import key_of, message_of, origin_of, recorded_of

GOLDEN = Path(__file__).parent.parent / "golden" / "events"
EPOCH = UUID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
COMMAND = UUID("0b6a9ce5-3d20-4c23-9c0f-6d2a3f3f8f10")


@pytest.fixture(scope="module", autouse=True)
def every_event_is_known() -> None:
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        importlib.import_module(module.name)


def recorded(stream: str = "portfolio/ACC-1", **members: object) -> Recorded:
    name = "portfolio.cash-deposited.v1"
    event = decode(name, (GOLDEN / f"{name}.json").read_bytes(), stream, 7)
    at = datetime(2025, 6, 21, 10, 0, 0, 5, tzinfo=UTC)
    return Recorded(**{"position": 4711, "stream": stream, "version": 7, "event": event, "recorded_at": at, **members})  # type: ignore[arg-type]


def test_headers_are_those_of_cloudevents() -> None:
    message = message_of(recorded(command_id=COMMAND, correlation_id="c-1", causation_id=COMMAND, actor="Zoë"), EPOCH)
    assert message.key == b"ACC-1"
    assert dict(message.headers) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": b"4711",
        "ce_source": f"/foliolog/{EPOCH}".encode(),
        "ce_type": b"portfolio.cash-deposited.v1",
        "ce_subject": b"portfolio/ACC-1",
        "ce_time": b"2025-06-21T10:00:00.000005Z",
        "ce_sequence": b"4711",
        "ce_partitionkey": b"ACC-1",
        "ce_streamversion": b"7",
        "ce_commandid": str(COMMAND).encode(),
        "ce_correlationid": b"c-1",
        "ce_causationid": str(COMMAND).encode(),
        "ce_actor": "Zoë".encode(),
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_every_event_comes_back_as_it_stands_in_the_log(name: str) -> None:
    event = decode(name, (GOLDEN / f"{name}.json").read_bytes(), "portfolio/ACC-1", 3)
    sent = recorded(version=3, event=event, actor="a", command_id=COMMAND)
    message = message_of(sent, EPOCH)
    assert origin_of(message.headers) == (EPOCH, 4711, COMMAND)
    back = recorded_of(message.value, message.headers)
    assert back == sent
    assert encode(back.event) == message.value


@pytest.mark.parametrize(
    ("stream", "key"),
    [
        ("portfolio/ACC-1", "ACC-1"),
        ("orders/ACC-1", "ACC-1"),
        ("execution/4711", "execution/4711"),
        ("model-name/Growth/Income", "model-name/Growth/Income"),
        ("portfolio-of-others/1", "portfolio-of-others/1"),
    ],
)
def test_the_key_is_a_function_of_the_stream(stream: str, key: str) -> None:
    assert key_of(stream) == key


def test_what_is_not_ours_is_told_from_what_cannot_be_read() -> None:
    message = message_of(recorded(), EPOCH)
    with pytest.raises(Broken, match="not one of the event log") as foreign:
        origin_of([("ce_source", b"/others"), ("ce_sequence", b"1")])
    assert foreign.value.position is None
    newer = [(name, b"portfolio.no-such.v9" if name == "ce_type" else value) for name, value in message.headers]
    with pytest.raises(Broken, match="message 4711 cannot be read") as broken:
        recorded_of(message.value, newer)
    assert broken.value.position == 4711
