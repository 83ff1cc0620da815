"""Alembic's environment: runs revisions in the transaction that `state/database/schema.py` opened."""

from __future__ import annotations

from alembic import context

from bedplate.state.database.schema import VERSION_TABLE
from bedplate.state.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
