"""Alembic's entry point: coinwatch.migrations.migrate passes an open connection and holds the lock."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
