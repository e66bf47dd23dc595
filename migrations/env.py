"""Where alembic runs its revisions: on the connection, and inside the locked transaction, that `migrate` hands over."""

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations through migrations.migrate(database_url): it takes the lock that they need")
context.configure(connection=connection, version_table_schema="app")
with context.begin_transaction():
    context.run_migrations()
