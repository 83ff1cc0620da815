"""Runs, their steps, and what both left behind: the tables of bedplate 0.1.0, before there were migrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table("schema", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
    op.execute("INSERT INTO schema (version) VALUES (1)")
    _make_runs()
    _make_steps()
    _make_measurements()
    _make_gangs()
    _make_exclusions()
    _make_events()
    _make_metrics()


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("file", sa.String, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("engine", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("cancel_attempt", sa.Integer, nullable=False),
        sa.Column("created_at_s", sa.Float, nullable=False),
        sa.Column("started_at_s", sa.Float),
        sa.Column("ended_at_s", sa.Float),
        sa.Column("error", sa.JSON),
        sa.UniqueConstraint("key", "generation"),
    )


def _make_steps() -> None:
    op.create_table(
        "steps",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("use", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("started_at_s", sa.Float),
        sa.Column("seconds", sa.Float),
        sa.Column("progress", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("result", sa.JSON),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"]),
    )


def _make_measurements() -> None:
    op.create_table(
        "measurements",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("step", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("document", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"]),
    )


def _make_gangs() -> None:
    op.create_table(
        "gangs",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("num_tasks", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"]),
    )


def _make_exclusions() -> None:
    op.create_table(
        "exclusions",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("node_id", sa.String, nullable=False),
        sa.Column("cores", sa.JSON, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"]),
    )


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at_s", sa.Float, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
    )
    op.create_index("events_of_run", "events", ["run_id", "number"])


def _make_metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("at_s", sa.Float, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("labels", sa.JSON, nullable=False),
    )
    op.create_index("metrics_of_run", "metrics", ["run_id", "name", "at_s"])
