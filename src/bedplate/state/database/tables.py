"""The tables of the state as they are today; `migrations/versions` says how they came to be, and a test compares both.

JSON columns hold documents that are read as one (results, errors, attributes); what is searched has a column.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
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
    func,
)

metadata = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_DOCUMENT = JSON(none_as_null=True)

schema = Table("schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
"""Kept for bedplate 0.1.0, which looks here and refuses what it does not know."""

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
    Column("error", _DOCUMENT),
    Column("holder", _DOCUMENT),
    UniqueConstraint("key", "generation"),
)
last_started_at_s = func.coalesce(runs.c.started_at_s, runs.c.created_at_s)
"""What runs are ordered by."""
Index("runs_newest_first", last_started_at_s, runs.c.id)
Index("runs_by_name", runs.c.name)

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
    Column("progress", _DOCUMENT),
    Column("error", _DOCUMENT),
    Column("result", _DOCUMENT),
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
Index("gangs_of_run", gangs.c.run_id, gangs.c.number)

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
Index("exclusions_of_run", exclusions.c.run_id, exclusions.c.number)

events = Table(
    "events",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("subject_kind", String, nullable=False, server_default="run"),
    Column("subject_id", String, nullable=False, server_default=""),
    Column("run_id", String),
    Column("step", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("severity", String, nullable=False),
    Column("source", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
)
Index("events_of_run", events.c.run_id, events.c.number)
Index("events_of_subject", events.c.subject_kind, events.c.subject_id, events.c.number)

metrics = Table(
    "metrics",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("subject_kind", String, nullable=False, server_default="run"),
    Column("subject_id", String, nullable=False, server_default=""),
    Column("run_id", String),
    Column("step", String, nullable=False),
    Column("name", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("value", Float),
    Column("labels", JSON, nullable=False),
)
Index("metrics_of_run", metrics.c.run_id, metrics.c.name, metrics.c.at_s)
Index("metrics_of_subject", metrics.c.subject_kind, metrics.c.subject_id, metrics.c.name, metrics.c.at_s)

jobs = Table(
    "jobs",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("key", String, nullable=False),
    Column("run_id", String),
    Column("user", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("file", String, nullable=False),
    Column("document", JSON, nullable=False),
    Column("request", JSON, nullable=False),
    Column("terms", JSON, nullable=False),
    Column("is_new_run", Boolean, nullable=False),
    Column("submitted_at_s", Float, nullable=False),
    Column("placed_at_s", Float),
    Column("ended_at_s", Float),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("num_crashes", Integer, nullable=False, server_default="0"),
    Column("allocation", _DOCUMENT),
    Column("runner", _DOCUMENT),
    Column("outcome", _DOCUMENT),
    Column("stop", _DOCUMENT),
    Column("cancelled_by", String),
    Column("error", _DOCUMENT),
    Column("why", Text, nullable=False, server_default=""),
)
Index("jobs_by_phase", jobs.c.phase, jobs.c.number)
Index("jobs_by_user", jobs.c.user, jobs.c.number)
Index("jobs_by_tenant", jobs.c.tenant, jobs.c.number)
Index("jobs_by_key", jobs.c.key, jobs.c.number)

tenants = Table(
    "tenants",
    metadata,
    Column("name", String, primary_key=True),
    Column("guaranteed", JSON, nullable=False),
    Column("limit", JSON, nullable=False),
    Column("weight", Float, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("tenants", JSON, nullable=False),
    Column("token_digest", String, nullable=False, unique=True),
    Column("created_at_s", Float, nullable=False),
)

drains = Table(
    "drains",
    metadata,
    Column("node_id", String, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("by", String, nullable=False),
    Column("at_s", Float, nullable=False),
)

services = Table(
    "services",
    metadata,
    Column("name", String, primary_key=True),
    Column("document", JSON, nullable=False),
)
"""Who holds what only one process may do: `scheduler`."""

speeds = Table(
    "speeds",
    metadata,
    Column("kind", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("samples", Integer, nullable=False),
    Column("mean_log", Float, nullable=False),
)
"""What jobs achieved; see `compute/capabilities/speed.py`."""
