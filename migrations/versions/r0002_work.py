"""Where the followers of the log stand, and the events that they could not work on."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WORK = """
create table app.policies (
    policy text primary key,
    position bigint not null default 0,
    updated_at timestamptz not null default now()
) with (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

create table app.parked_work (
    policy text not null,
    position bigint not null,
    stream text not null,
    topic text not null,
    attempts int not null check (attempts > 0),
    error text not null,
    parked_at timestamptz not null default now(),
    primary key (policy, position)
);
create index parked_work_position_idx on app.parked_work (position desc, policy desc);
"""


def upgrade() -> None:
    """Create both tables; the statements hold no parameters, so the driver takes them as they stand."""
    op.get_bind().exec_driver_sql(WORK.replace("%", "%%"))


def downgrade() -> None:
    """Refused: what is parked would be lost."""
    raise NotImplementedError("parked work is never dropped: write a further revision")
