"""The tables of the state: runs, their steps, and what both left behind.

JSON columns hold documents that are read whole (results, errors, attributes); whatever is searched has a column.
`schema` has one row; a newer number than `SCHEMA_VERSION` means that a newer bedplate wrote here.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 1

metadata = MetaData()

schema = Table("schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("file", String, nullable=False),
    Column("document", JSON, nullable=False),
    Column("engine", String, nullable=False),
    Column("version", String, nullable=False),
    Column("status", String, nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("cancel_attempt", Integer, nullable=False, default=0),
    Column("created_at_s", Float, nullable=False),
    Column("started_at_s", Float),
    Column("ended_at_s", Float),
    Column("error", JSON(none_as_null=True)),
    UniqueConstraint("key", "generation"),
)

steps = Table(
    "steps",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("use", String, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("started_at_s", Float),
    Column("seconds", Float),
    Column("progress", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

measurements = Table(
    "measurements",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("step", String, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("value", Float),
    Column("document", JSON, nullable=False),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

gangs = Table(
    "gangs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("step", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("id", String, nullable=False),
    Column("num_tasks", Integer, nullable=False),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

exclusions = Table(
    "exclusions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("step", String, nullable=False),
    Column("node_id", String, nullable=False),
    Column("cores", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

events = Table(
    "events",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("step", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("severity", String, nullable=False),
    Column("source", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
)
Index("events_of_run", events.c.run_id, events.c.number)

metrics = Table(
    "metrics",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("step", String, nullable=False),
    Column("name", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("value", Float),
    Column("labels", JSON, nullable=False),
)
Index("metrics_of_run", metrics.c.run_id, metrics.c.name, metrics.c.at_s)
