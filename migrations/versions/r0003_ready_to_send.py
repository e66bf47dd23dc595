"""The events that let an execution go out with a batch, found without reading what lies between them."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

READY = """
create index stored_events_ready_to_send_idx on es.stored_events (notification_id)
    where topic in ('execution.recorded.v1', 'execution.resend-requested.v1')
"""


def upgrade() -> None:
    """Create the index; the log is not written meanwhile, for migrations run before the application starts."""
    op.get_bind().exec_driver_sql(READY)


def downgrade() -> None:
    """Drop the index: it holds nothing of its own."""
    op.get_bind().exec_driver_sql("drop index es.stored_events_ready_to_send_idx")
