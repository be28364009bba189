"""Notes on the work queue."""

import sqlalchemy as sa
from alembic import op

revision = "r0010"
down_revision = "r0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of what people did to items of the work queue."""
    op.create_table(
        "work_items",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("since_time_us", sa.BigInteger, nullable=False),
        sa.Column("vehicle_id", sa.Integer),
        sa.Column("closed_time_us", sa.BigInteger),
        sa.Column("closed_by", sa.String, nullable=False),
    )
    op.create_index("work_items_closed", "work_items", ["closed_time_us"])
    op.create_table(
        "work_notes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item", sa.String, sa.ForeignKey("work_items.id"), nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("until_time_us", sa.BigInteger),
        sa.Column("undone_time_us", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("work_notes_item", "work_notes", ["item"])
