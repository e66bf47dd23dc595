"""The journeys of all verticals once more, unchanged, on an application of ten processes behind one address."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import httpx2
import pytest

from api.settings import Settings
from samples.trade_service.server import TradeService, trade_service
from tests.faults.agreement import quiet, views_agree
from tests.faults.publishing import published_once
from tests.journeys import test_allocation as allocation
from tests.journeys import test_first_way as first_way
from tests.journeys import test_prices_reach_holders as prices
from tests.journeys import test_rebalancing as rebalancing
from tests.journeys.desk import asked
from tests.journeys.office import LONG, SEND, Office, at
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.fixtures import Servers
from tests.servers.kafka import Kafka
from tests.servers.roles import Roles, roles

COPIES: Final = {"transactions", "executions", "investment_models", "rebalances", "rebalance_transactions"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roles")


@pytest.fixture(scope="module")
def trades() -> Iterator[TradeService]:
    with trade_service() as service:
        yield service


@pytest.fixture(scope="module")
def app(
    folder: Path, servers: Servers, kafka: Kafka, elasticsearch: Elasticsearch, trades: TradeService
) -> Iterator[Roles]:
    servers.admin("create database roles")
    name = f"roles-{os.getpid()}"
    given = {
        "DATABASE_URL": servers.database("roles"),
        "REDIS_URL": servers.redis_url,
        "ELASTICSEARCH_URL": elasticsearch.url,
        "ELASTICSEARCH_PREFIX": name,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_TOPIC": name,
        "KAFKA_PARTITIONS": "4",
        "TRADE_SERVICE_URL": trades.url,
    }
    with roles(folder / "roles", given) as app:
        yield app
    servers.admin("drop database roles with (force)")


@pytest.fixture(scope="module")
def office(folder: Path, app: Roles) -> Office:
    """The accounting office; who sends to it begins anew with it, for the README's walk goes without."""
    office = Office(folder / "office")
    app.environment |= office.environment
    app.restart("commands", "worker")
    return office


@pytest.fixture
async def http(app: Roles) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=200)
    async with httpx2.AsyncClient(base_url=app.url, timeout=300, limits=limits) as http:
        yield http


@pytest.fixture
def requests() -> int:
    return 20


test_the_readme_shows_what_is_answered = first_way.test_the_readme_shows_what_is_answered
test_twenty_equal_keys_at_once_are_one_effect = first_way.test_twenty_equal_keys_at_once_are_one_effect
test_a_trade_of_one_is_the_price_of_all_at_its_position = prices.test_a_trade_of_one_is_the_price_of_all_at_its_position
test_every_answer_of_an_update_is_the_state_at_its_position = (
    prices.test_every_answer_of_an_update_is_the_state_at_its_position
)
test_the_newest_price_wins = prices.test_the_newest_price_wins_whoever_uploads_and_no_state_goes_back
test_from_a_model_to_trades_that_are_booked = rebalancing.test_from_a_model_to_trades_that_are_booked
test_a_rebalance_is_deleted_by_its_version = rebalancing.test_a_rebalance_is_deleted_by_the_version_that_was_read
test_a_run_asked_for_later_is_an_operation = rebalancing.test_a_run_asked_for_later_is_an_operation
test_where_cash_binds_a_solver_has_a_part = rebalancing.test_where_cash_binds_a_solver_has_a_part_in_the_answer
test_a_b_a_b_as_fast_as_can_be_are_four_rebalances = rebalancing.test_a_b_a_b_as_fast_as_can_be_are_four_rebalances
test_the_same_while_it_is_pending_is_one_rebalance = rebalancing.test_the_same_while_it_is_pending_is_one_rebalance
test_executions_go_out_once_and_are_booked_once = (
    allocation.test_ten_thousand_executions_of_sixteen_clients_go_out_once_and_are_booked_once
)
test_a_client_that_leaves_stops_nothing = allocation.test_a_client_that_leaves_does_not_stop_what_it_has_asked_for
test_what_is_asked_for_later_is_looked_at = allocation.test_what_is_asked_for_later_is_looked_at_where_the_answer_says


async def test_the_search_copies_have_answered(app: Roles, http: httpx2.AsyncClient) -> None:
    """Every copied view is searched in Elasticsearch, in every process that is asked."""
    head = (await asked(http, "POST", SEND)).headers["X-Position"]
    paths = [
        "/api/v1/portfolio/ACC-1/transactions?limit=1",
        "/api/v1/executions?limit=1",
        "/api/v1/models?limit=1",
        "/api/v1/rebalances?limit=1",
        "/transactions?user_id=1",
    ]
    for process in app.of("queries"):
        before, answered = await copied(process.url), set[str]()
        async with asyncio.timeout(LONG), httpx2.AsyncClient(base_url=process.url, timeout=60) as alone:
            while answered != COPIES:  # a copy that is behind just now leaves it to the view
                for path in paths:
                    await asked(alone, "GET", path, headers=at(head))
                after = await copied(process.url)
                answered = {view for view, count in after.items() if count > before.get(view, 0)}


async def copied(url: str) -> dict[str, Decimal]:
    """Return how many searches of each view a process has had answered by its copy."""
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        lines = (await http.get("/metrics")).text.splitlines()
    found = (re.match(r'foliolog_search_answers_total\{source="copy",view="(\w+)"\} (\S+)', line) for line in lines)
    return {each[1]: Decimal(each[2]) for each in found if each}


async def test_views_copies_and_the_topic_are_what_the_log_says(app: Roles) -> None:
    given = app.environment
    settings = Settings(
        database_url=given["DATABASE_URL"],
        elasticsearch_url=given["ELASTICSEARCH_URL"],
        elasticsearch_prefix=given["ELASTICSEARCH_PREFIX"],
        kafka_bootstrap_servers=given["KAFKA_BOOTSTRAP_SERVERS"],
        kafka_topic=given["KAFKA_TOPIC"],
    )
    await views_agree(settings, await quiet(settings))
    await published_once(given["DATABASE_URL"], given["KAFKA_BOOTSTRAP_SERVERS"], given["KAFKA_TOPIC"])


def test_all_of_them_end_when_they_are_asked_to(app: Roles) -> None:
    assert app.stop() == dict.fromkeys((each.name for each in app.processes), 0)
    assert "Traceback" not in app.log()
