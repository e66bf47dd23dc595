"""Every service of docker-compose.yml, started with exactly the command and the environment that it has there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer

from api.security.keys import entry_of, made
from tests.deploy import compose
from tests.deploy.running import Stack, files_of_the_image
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.kafka import Kafka

EXECUTION = {
    "executionServiceId": 4711,
    "isOpen": False,
    "executionStatus": "FILLED",
    "tradeType": "BUY",
    "destination": "NYSE",
    "securityId": "TECH123456789012345678AB",
    "ticker": "TECH",
    "quantity": 80,
    "receivedTimestamp": "2025-06-24T00:59:00Z",
    "sentTimestamp": "2025-06-24T01:00:00Z",
    "lastFillTimestamp": "2025-06-24T01:00:05Z",
    "quantityFilled": 80,
    "totalAmount": 11999,
    "averagePrice": 149.9875,
    "portfolioId": "A",
}


@pytest.fixture
def key() -> str:
    """An API key."""
    return made()


@pytest.fixture
def stack(
    empty_database_url: str,
    redis_url: str,
    kafka: Kafka,
    topic: str,
    elasticsearch: Elasticsearch,
    index_prefix: str,
    key: str,
    tmp_path: Path,
) -> Iterator[Stack]:
    """The files of the image, and real servers."""
    for name in ("files", "logs"):
        (tmp_path / name).mkdir()
    keys = tmp_path / "api_keys"
    keys.write_text(entry_of(key, "tester", ("read", "write", "admin")).line + "\n")
    addresses = {
        "DATABASE_URL": empty_database_url,
        "REDIS_URL": redis_url,
        "ELASTICSEARCH_URL": elasticsearch.url,
        "ELASTICSEARCH_PREFIX": index_prefix,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_TOPIC": topic,
        "OUTPUT_DIR": str(tmp_path / "files"),
        "DATA_DIR": str(tmp_path / "data"),
        "API_KEYS_FILE": str(keys),
        "HOST": "127.0.0.1",
    }
    with files_of_the_image(tmp_path / "app") as files:
        yield Stack(files, addresses, tmp_path / "logs")


def test_all_services_work_together(stack: Stack, key: str, tmp_path: Path) -> None:
    stack.run("migrate")
    stack.run("migrate")  # it runs at every `up`
    with ExitStack() as running:
        processes = {name: running.enter_context(stack.running(name)) for name in compose.roles()}
        for name, process in processes.items():
            if "ports" in compose.services()[name]:
                stack.healthy(name, process)
        for name in ("http", "commands"):
            assert httpx2.post(f"{stack.url(name)}/api/v1/portfolios", json={}, timeout=60).status_code == 401
        allowed: dict[str, Any] = {"headers": {"Authorization": f"Bearer {key}"}, "timeout": 60}
        told, asked, both = (
            httpx2.Client(base_url=stack.url(name), **allowed) for name in ("commands", "queries", "http")
        )
        for client in (told, asked, both):
            running.enter_context(client)
        opened = told.post(
            "/api/v1/portfolios", json={"portfolio_id": "A", "portfolio_name": "Growth", "cash_balance": 20000}
        )
        assert opened.status_code == 201, opened.text
        seen = {"X-Min-Position": opened.headers["X-Position"], "Prefer": "wait=30"}
        for client in (asked, both):  # the projector has made it
            assert client.get("/api/v1/portfolio/A/state", headers=seen).content == opened.content
        recorded = both.post("/api/v1/executions", json=[EXECUTION])
        assert recorded.status_code == 201, recorded.text
        execution = recorded.json()["results"][0]["executionId"]
        booked = asked.get(
            f"/api/v1/executions/{execution}", params={"at_least": execution + 1}, headers={"Prefer": "wait=60"}
        )
        assert booked.json()["booking"] == "BOOKED", booked.text  # the worker has done it
        sent = told.post("/api/v1/executions/send")
        assert (sent.status_code, sent.json()["processedCount"]) == (200, 1)
        assert (tmp_path / "files" / sent.json()["fileName"]).exists()
        assert "running" in stack.run("projector", "views")
        published = asyncio.run(
            first_record(stack.addresses["KAFKA_BOOTSTRAP_SERVERS"], stack.addresses["KAFKA_TOPIC"])
        )
        assert published["ce_id"] == opened.headers["X-Position"]  # the relay has sent it
    assert not (tmp_path / "data").exists(), "nothing of ours is embedded, so there is no data here"


async def first_record(servers: str, topic: str) -> dict[str, str]:
    """Return the headers of the record with the first event, once it is there."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        async with asyncio.timeout(120):
            async for record in consumer:
                headers = {name: value.decode() for name, value in record.headers}
                if headers["ce_id"] == "1":
                    return headers
    finally:
        await consumer.stop()
    raise AssertionError(f"{topic} has no such record")


def test_a_service_that_waits_for_migrations_says_so_and_ends(stack: Stack) -> None:
    with pytest.raises(AssertionError, match="migrate"):
        stack.run("http")
    assert stack.checked("http") == 1
