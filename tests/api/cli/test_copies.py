"""``./run verify copy/VIEW`` and ``./run rebuild copy/VIEW``: search copies under operators' hands."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from projections.copying import Copier
from projections.rebalance import REBALANCE_PROJECTOR
from read_side.adapters.elasticsearch_index import ElasticsearchIndexes
from read_side.adapters.elasticsearch_link import connect
from read_side.adapters.postgres_changes import PostgresChanges
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.rebalance import REBALANCES
from read_side.tasks import end
from tests.projections.logs import Process, append, process
from tests.projections.rebalancing import whole
from tests.projections.running import running
from tests.servers.application import ROOT
from tests.servers.elasticsearch import Elasticsearch


async def command(one: Process, url: str | None, prefix: str, *arguments: str) -> tuple[int | None, str]:
    """Run an operator's command; return its exit code and what it says."""
    environment = {**os.environ, "DATABASE_URL": one.database_url, "ELASTICSEARCH_PREFIX": prefix}
    if url is not None:
        environment["ELASTICSEARCH_URL"] = url
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api",
        *arguments,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await child.communicate()
    return child.returncode, said.decode()


@asynccontextmanager
async def copied(one: Process, indexes: ElasticsearchIndexes) -> AsyncIterator[None]:
    """Keep the view of rebalances and its copy up while the block lasts."""
    copier = Copier(
        view=REBALANCES,
        changes=PostgresChanges(one.pool.connection),
        indexes=indexes,
        history=one.history,
        leadership=PostgresLeadership(one.database_url, one.signals),
        signals=one.signals,
        soonest=0.01,
    )
    async with running(one, projector=REBALANCE_PROJECTOR):
        task = asyncio.create_task(copier.run())
        try:
            yield
        finally:
            await end(task)


async def test_a_copy_is_compared_and_made_anew(
    database_url: str, elasticsearch: Elasticsearch, index_prefix: str
) -> None:
    prefix = f"t{index_prefix}".rstrip("-")
    async with process(database_url) as one, connect(elasticsearch.url, 30.0) as client:
        await append(database_url, *whole(1, ("A", "B")), *whole(2, ("A",)))
        indexes = ElasticsearchIndexes(client, prefix)
        async with copied(one, indexes):
            async with asyncio.timeout(60):
                while await indexes.live(REBALANCES) is None:
                    pass
            code, said = await command(one, elasticsearch.url, prefix, "rebuild", "copy/rebalances")
            assert (code, "copy/rebalances: build 2 is searched, at position" in said) == (0, True), said
            code, said = await command(one, elasticsearch.url, prefix, "verify", "copy/rebalances")
            assert code == 0, said
            assert "5 rows compared" in said
            assert "no difference" in said
            live = await indexes.live(REBALANCES)
            assert live is not None
            [key] = await indexes.keys(REBALANCES, live, "", 1)
            await client.delete(index=live.name, id=f"row/{key}")
            code, said = await command(one, elasticsearch.url, prefix, "verify", "copy/rebalances")
            assert code == 1
            assert f"  {key}: the copy has no such row" in said
            assert "copy/rebalances differs from its view in 1 rows or more: rebuild it" in said
        await client.indices.delete(
            index=",".join(await client.indices.get(index=f"{prefix}-*")), ignore_unavailable=True
        )


async def test_without_elasticsearch_and_without_a_copy_it_says_so(database_url: str) -> None:
    async with process(database_url) as one:
        code, said = await command(one, None, "none", "rebuild", "copy/rebalances")
        assert (code, "ELASTICSEARCH_URL is not set: there are no search copies" in said) == (1, True), said
        code, said = await command(one, "http://127.0.0.1:9", "none", "verify", "copy/portfolios")
        assert (code, "view portfolios has no search copy" in said) == (1, True), said
