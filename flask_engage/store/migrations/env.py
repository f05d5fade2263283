"""Alembic's environment for our own tables; always run on a connection that we hand in."""

from __future__ import annotations

from alembic import context

from flask_engage.store import Base
from flask_engage.store.migrate import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=connection.dialect.name in ("sqlite", "postgresql"),
)
with context.begin_transaction():
    context.run_migrations()
