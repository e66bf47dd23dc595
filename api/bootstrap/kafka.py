"""How Kafka is reached: the arguments that every one of its clients is made with."""

from __future__ import annotations

import ssl
from typing import Any

from api.settings import Misconfigured, Settings


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of aiokafka's clients: brokers, encryption and who we are.

    Raises ``Misconfigured`` where no brokers are set, or for a file of certificates that cannot be used.
    """
    if settings.kafka_bootstrap_servers is None:
        raise Misconfigured("KAFKA_BOOTSTRAP_SERVERS is not set: say host:port, or several with commas between them")
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": [broker.strip() for broker in settings.kafka_bootstrap_servers.split(",")],
        "security_protocol": protocol,
    }
    if protocol.endswith("SSL"):
        options["ssl_context"] = _certificates(settings)
    if protocol.startswith("SASL"):
        password = settings.kafka_password
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": password.get_secret_value() if password is not None else None,
        }
    return options


async def prepare_topic(settings: Settings) -> list[str]:
    """Make the topic where it is not there; return lines that say so, and what about it is to be looked at.

    Raises ``Unavailable`` where Kafka cannot be reached or refuses, and as ``client_options`` does.
    """
    from migrations.kafka import make_topic

    topic = settings.kafka_topic
    found = await make_topic(
        client_options(settings), topic, partitions=settings.kafka_partitions, replication=settings.kafka_replication
    )
    return [f"topic {topic} {'was made' if found.made else 'is there'}: {found.partitions} partitions", *found.faults]


def _certificates(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.kafka_ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise Misconfigured(f"KAFKA_CA_FILE is {str(settings.kafka_ca_file)!r}: {error}") from error
