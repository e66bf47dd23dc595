"""What followers outside the views need: keys of rows that are gone, and of which log a checkpoint is, and of what."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UPGRADE = """
create table app.gone (
    view text not null,
    key text collate "C" not null,
    position bigint not null,
    primary key (view, key)
);
create index gone_position_idx on app.gone (view, position, key);

alter table app.checkpoints
    add column epoch uuid,
    add column tails bigint[] not null default '{}';
"""


def upgrade() -> None:
    """Make them; views that are there have removed rows before, but no copy has seen those."""
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Take them away: copies are made anew, the relay begins at its topic."""
    op.get_bind().exec_driver_sql(
        "drop table app.gone; alter table app.checkpoints drop column epoch, drop column tails"
    )
