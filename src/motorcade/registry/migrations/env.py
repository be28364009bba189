"""Alembic's entry: run the revisions on the connection that `registry/migrate.py` hands over."""

from alembic import context

from motorcade.registry.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,  # SQLite's DDL is transactional once pysqlite does not interfere
)
with context.begin_transaction():
    context.run_migrations()
