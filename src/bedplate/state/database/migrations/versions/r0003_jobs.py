"""The service: jobs that wait and run, tenants with their quotas, users, nodes that are drained, and who schedules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobs",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("run_id", sa.String),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("file", sa.String, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("terms", sa.JSON, nullable=False),
        sa.Column("is_new_run", sa.Boolean, nullable=False),
        sa.Column("submitted_at_s", sa.Float, nullable=False),
        sa.Column("placed_at_s", sa.Float),
        sa.Column("ended_at_s", sa.Float),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("num_crashes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("allocation", sa.JSON),
        sa.Column("runner", sa.JSON),
        sa.Column("outcome", sa.JSON),
        sa.Column("stop", sa.JSON),
        sa.Column("cancelled_by", sa.String),
        sa.Column("error", sa.JSON),
        sa.Column("why", sa.Text, nullable=False, server_default=""),
    )
    for name, column in (("phase", "phase"), ("user", "user"), ("tenant", "tenant"), ("key", "key")):
        op.create_index(f"jobs_by_{name}", "jobs", [column, "number"])
    op.create_table(
        "tenants",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("guaranteed", sa.JSON, nullable=False),
        sa.Column("limit", sa.JSON, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("tenants", sa.JSON, nullable=False),
        sa.Column("token_digest", sa.String, nullable=False, unique=True),
        sa.Column("created_at_s", sa.Float, nullable=False),
    )
    op.create_table(
        "drains",
        sa.Column("node_id", sa.String, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("at_s", sa.Float, nullable=False),
    )
    op.create_table(
        "services",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
