"""Which app brought a telemetry configuration: the key that signed it is public and proves nobody.

Of configurations from before nobody knows it: they get no app, and no app is told of them or ends
them until it brings its configuration again (docs/decisions/0027).
"""

import sqlalchemy as sa
from alembic import op

revision = "r0008"
down_revision = "r0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Write the app into the configurations' table."""
    client = sa.Column("client_id", sa.String, nullable=False, server_default="")
    op.add_column("telemetry_configs", client)
