"""What jobs of each kind achieved on each model of device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "speeds",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("mean_log", sa.Float, nullable=False),
    )
