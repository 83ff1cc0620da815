"""Events and samples about more than runs, who holds a run, and an index for pages of runs.

Events and samples get a subject (a run, step, node, device, link or service) and need no run. Kinds of events get one
spelling: words in snake_case, joined by dots. Event numbers get 64 bits.

The table `schema` stays, with a version that bedplate 0.1.0 does not know: it refuses the upgraded state instead of
making its own tables in it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change the tables and what is in them."""
    op.execute("UPDATE schema SET version = 2")
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("holder", sa.JSON))
    op.create_index("runs_newest_first", "runs", [sa.text("coalesce(started_at_s, created_at_s)"), "id"])
    op.create_index("runs_by_name", "runs", ["name"])
    op.create_index("gangs_of_run", "gangs", ["run_id", "number"])
    op.create_index("exclusions_of_run", "exclusions", ["run_id", "number"])
    for table in ("events", "metrics"):
        _give_subjects(table)
    op.create_index("events_of_subject", "events", ["subject_kind", "subject_id", "number"])
    op.create_index("metrics_of_subject", "metrics", ["subject_kind", "subject_id", "name", "at_s"])
    op.execute("UPDATE events SET kind = replace(kind, '-', '_')")


def _give_subjects(name: str) -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table(name) as table:
        table.alter_column("run_id", existing_type=sa.String(), nullable=True)
        table.add_column(sa.Column("subject_kind", sa.String, nullable=False, server_default="run"))
        table.add_column(sa.Column("subject_id", sa.String, nullable=False, server_default=""))
        if not is_sqlite:  # an INTEGER PRIMARY KEY of SQLite has 64 bits
            table.alter_column("number", existing_type=sa.Integer(), type_=sa.BigInteger())
    if not is_sqlite:
        op.execute(f"ALTER SEQUENCE {name}_number_seq AS bigint")
    op.execute(f"UPDATE {name} SET subject_id = run_id WHERE step = ''")  # noqa: S608
    op.execute(f"UPDATE {name} SET subject_kind = 'step', subject_id = run_id || '/' || step WHERE step <> ''")  # noqa: S608
