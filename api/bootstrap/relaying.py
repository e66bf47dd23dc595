"""What a process needs that publishes the log to Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.bootstrap.kafka import client_options
from api.bootstrap.reading import reading
from api.settings import Settings
from projections.relay import Relay
from read_side.adapters.kafka_publisher import KafkaTopic
from read_side.adapters.postgres_leader import PostgresLeadership


@asynccontextmanager
async def relaying(settings: Settings) -> AsyncIterator[Relay]:
    """Open the relay; it does nothing until it runs.

    Raises ``Misconfigured`` where Kafka is not set. That it is away is no error here.
    """
    topic = KafkaTopic(settings.kafka_topic, client_options(settings))
    async with reading(settings) as parts:
        yield Relay(
            topic=topic,
            history=parts.log,
            leadership=PostgresLeadership(parts.database_url, parts.signals),
            signals=parts.signals,
        )
