"""The arguments of Kafka's clients, as they follow from the settings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from api.bootstrap.kafka import client_options
from api.settings import Misconfigured, Settings


def settings(**given: Any) -> Settings:
    return Settings(**{"kafka_bootstrap_servers": "one:9092, two:9093"} | given)


def test_plain() -> None:
    assert client_options(settings()) == {
        "bootstrap_servers": ["one:9092", "two:9093"],
        "security_protocol": "PLAINTEXT",
    }


def test_encrypted_with_a_password() -> None:
    options = client_options(
        settings(kafka_security_protocol="SASL_SSL", kafka_username="relay", kafka_password="secret")
    )
    context = options.pop("ssl_context")
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert options.pop("bootstrap_servers") == ["one:9092", "two:9093"]
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "relay",
        "sasl_plain_password": "secret",
    }


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="KAFKA_BOOTSTRAP_SERVERS is not set"):
        client_options(Settings())
    with pytest.raises(Misconfigured, match=r"KAFKA_CA_FILE is .*nowhere"):
        client_options(settings(kafka_security_protocol="SSL", kafka_ca_file=tmp_path / "nowhere"))
    (tmp_path / "empty").touch()
    with pytest.raises(Misconfigured, match=r"KAFKA_CA_FILE is .*empty"):
        client_options(settings(kafka_security_protocol="SSL", kafka_ca_file=tmp_path / "empty"))
