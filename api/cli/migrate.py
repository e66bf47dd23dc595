"""``migrate``: bring the database's schemas to this program's revision."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from api import logs
from api.cli.failing import Failed, sentences
from api.settings import read_settings


@sentences
def migrate(
    new_epoch: Annotated[
        bool,
        typer.Option(
            "--new-epoch", help="The log was restored from a backup: Redis, Elasticsearch and Kafka begin anew."
        ),
    ] = False,
) -> None:
    """Bring the schemas of the database in DATABASE_URL to this program's revision."""
    from migrations import NEWEST
    from migrations import migrate as upgrade

    settings = read_settings()
    logs.configure("WARNING", settings.log_format.value)
    if settings.database_url is None:
        raise Failed("DATABASE_URL is not set: embedded servers are migrated by `serve` itself")
    upgrade(settings.database_url, new_epoch=new_epoch)
    print(f"the database is at revision {NEWEST}")
    if new_epoch:
        print("the log has a new epoch: search copies are made anew, and the relay publishes it from its beginning")
    if settings.kafka_bootstrap_servers is not None:
        from api.bootstrap.kafka import prepare_topic
        from domain.errors import Unavailable

        try:
            for line in asyncio.run(prepare_topic(settings)):
                print(line)
        except Unavailable as error:  # nothing of ours waits for Kafka
            print(f"the topic is not made: {error}; `serve --role relay --make-topic` makes it later", file=sys.stderr)
