"""``migrate``: bring the database's schemas to this program's revision."""

from __future__ import annotations

from api import logs
from api.cli.failing import Failed, sentences
from api.settings import read_settings


@sentences
def migrate() -> None:
    """Bring the schemas of the database in DATABASE_URL to this program's revision."""
    from migrations import NEWEST
    from migrations import migrate as upgrade

    settings = read_settings()
    logs.configure("WARNING", settings.log_format.value)
    if settings.database_url is None:
        raise Failed("DATABASE_URL is not set: embedded servers are migrated by `serve` itself")
    upgrade(settings.database_url)
    print(f"the database is at revision {NEWEST}")
