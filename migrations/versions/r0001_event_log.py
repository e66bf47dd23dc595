"""The event log, its one way in, and what the application keeps beside it."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Names and types are those the stock `eventsourcing` recorder expects (schema es, originator ids of type text).
# Vacuum of an insert-only table is for the visibility map and freezing alone: after inserts, never for dead rows.
LOG = """
create schema es;

create type es.stored_event_text as (originator_id text, originator_version bigint, topic text, state bytea);

create table es.stored_events (
    originator_id text not null,
    originator_version bigint not null,
    topic text not null,
    state bytea not null,
    notification_id bigint not null,
    command_id uuid,
    correlation_id text,
    causation_id uuid,
    actor text,
    recorded_at timestamptz not null,
    primary key (originator_id, originator_version)
) with (
    autovacuum_vacuum_insert_threshold = 100000, autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_threshold = 1000, autovacuum_analyze_scale_factor = 0.02
);
create unique index stored_events_notification_id_idx on es.stored_events (notification_id);
create index stored_events_recorded_at_idx on es.stored_events using brin (recorded_at)
    with (pages_per_range = 32, autosummarize = on);

create table es.snapshots (
    originator_id text primary key,
    originator_version bigint not null,
    topic text not null,
    state bytea not null,
    taken_at timestamptz not null default now()
);
"""

# The second trigger is for rows of the stock recorder, which has no positions of ours and holds the table in EXCLUSIVE
# mode; a row trigger of a volatile function sees the rows that its own statement has inserted before.
TRIGGERS = """
create function es.refuse_change() returns trigger language plpgsql as $body$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('the event log is append-only: %s of es.stored_events is refused', tg_op),
        hint = 'Record what corrects it as a further event.';
end
$body$;
create trigger append_only before update or delete or truncate on es.stored_events
    for each statement execute function es.refuse_change();

create function es.place_stock_row() returns trigger language plpgsql volatile as $body$
declare
    newest record;
begin
    select e.notification_id, e.recorded_at into newest
        from es.stored_events e order by e.notification_id desc limit 1;
    new.notification_id := coalesce(newest.notification_id, 0) + 1;
    new.recorded_at := greatest(clock_timestamp(), newest.recorded_at);
    return new;
end
$body$;
create trigger place_stock_row before insert on es.stored_events
    for each row when (new.notification_id is null) execute function es.place_stock_row();
"""

APPLICATION = """
create table app.commands (
    caller text not null,
    key text not null,
    fingerprint bytea not null,
    status int not null,
    body bytea not null,
    version bigint not null,
    position bigint not null,
    command_id uuid not null,
    recorded_at timestamptz not null,
    primary key (caller, key)
);
create index commands_recorded_at_idx on app.commands using brin (recorded_at) with (autosummarize = on);

create table app.log (
    epoch uuid not null default gen_random_uuid(),
    created_at timestamptz not null default now()
);
create unique index log_has_one_row on app.log ((true));
insert into app.log default values;

create table app.checkpoints (
    view text primary key,
    position bigint not null default 0,
    generation bigint not null default 1,
    state text not null default 'running' check (state in ('running', 'stopped')),
    error text,
    stopped_at timestamptz,
    updated_at timestamptz not null default now()
) with (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

create table app.parked (
    view text not null,
    position bigint not null,
    reason text not null,
    actor text not null,
    parked_at timestamptz not null default now(),
    primary key (view, position)
);
"""

# One transaction at a time, by the advisory lock: so the order of positions is the order of commits and no reader
# passes over one. A stream has no holes: who decided on another log (restored from a backup, or of another server) is
# told as in any conflict. The table lock keeps a writer of the stock library (EXCLUSIVE) from coming in between.
APPEND = """
create function es.append(
    streams text[], versions bigint[], topics text[], states bytea[],
    command_ids uuid[], correlation_ids text[], causation_ids uuid[], actors text[],
    k_caller text[], k_key text[], k_fingerprint bytea[], k_status int[], k_body bytea[], k_version bigint[],
    k_command uuid[], k_offset bigint[],
    out base bigint, out recorded timestamptz
) language plpgsql volatile as $body$
begin
    perform pg_advisory_xact_lock(42);
    lock table es.stored_events in row exclusive mode;
    select e.notification_id, e.recorded_at into base, recorded
        from es.stored_events e order by e.notification_id desc limit 1;
    base := coalesce(base, 0);
    recorded := greatest(clock_timestamp(), recorded);
    if cardinality(streams) > 0 then
        insert into es.stored_events (
            originator_id, originator_version, topic, state, notification_id,
            command_id, correlation_id, causation_id, actor, recorded_at)
        select e.stream, e.version, e.topic, e.state, base + e.n,
               e.command_id, e.correlation_id, e.causation_id, e.actor, recorded
        from unnest(streams, versions, topics, states, command_ids, correlation_ids, causation_ids, actors)
            with ordinality as e(stream, version, topic, state, command_id, correlation_id, causation_id, actor, n);
        if exists (
            select from unnest(streams, versions) as e(stream, version)
            where e.version > 1 and not exists (
                select from es.stored_events p
                where p.originator_id = e.stream and p.originator_version = e.version - 1)
        ) then
            raise exception using
                errcode = 'unique_violation',
                message = 'an event would not follow the one before it in its stream';
        end if;
        perform pg_notify('stored_events', (base + cardinality(streams))::text);
    end if;
    if cardinality(k_key) > 0 then
        insert into app.commands (
            caller, key, fingerprint, status, body, version, position, command_id, recorded_at)
        select k.caller, k.key, k.fingerprint, k.status, k.body, k.version, base + k.distance, k.command, recorded
        from unnest(k_caller, k_key, k_fingerprint, k_status, k_body, k_version, k_command, k_offset)
            as k(caller, key, fingerprint, status, body, version, command, distance);
    end if;
end
$body$;
"""

# Speeds up `search` in texts where the server has it and lets us; without it the search reads the whole view.
TRIGRAMS = """
do $body$
begin
    create extension if not exists pg_trgm with schema public;
exception when others then
    raise notice 'pg_trgm is not available: text search will read whole views';
end
$body$;
"""


def upgrade() -> None:
    """Create everything; the statements hold no parameters, so the driver takes them as they stand."""
    connection = op.get_bind()
    for statements in (LOG, TRIGGERS, APPLICATION, APPEND, TRIGRAMS):
        connection.exec_driver_sql(statements.replace("%", "%%"))


def downgrade() -> None:
    """Refused: dropping the log is not a migration."""
    raise NotImplementedError("the log is never taken back: restore a backup, or write a further revision")
