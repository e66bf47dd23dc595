"""The schemas `es` (event log) and `app` (keys, checkpoints), kept current by alembic; views are rebuilt instead."""

from __future__ import annotations

from pathlib import Path

import psycopg

NEWEST = "0004"
"""The revision that this program's migrations lead to; here so that whoever compares it need not load alembic."""

_LOCK = "select pg_advisory_xact_lock(1718382439, 0)"
"""Two-integer key space, a class of its own: neither the log's lock nor a leader's."""


def migrate(database_url: str, *, new_epoch: bool = False) -> None:
    """Bring the database to the newest revision, all in one transaction; two starts at once wait for each other.

    ``new_epoch`` says that this log was restored: what stands outside the database (Redis, Elasticsearch, Kafka) and
    has seen what the restored log has not is then taken for that of another log. ``database_url`` is anything libpq
    takes. Raises ``psycopg.OperationalError`` when there is no server, and what else the database says as psycopg does.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    def connect() -> psycopg.Connection:
        return psycopg.connect(database_url, target_session_attrs="read-write")

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.begin() as connection:
            connection.execute(text(_LOCK))
            connection.execute(text("create schema if not exists app"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if new_epoch:
                connection.execute(text("update app.log set epoch = gen_random_uuid()"))
    except DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from error
