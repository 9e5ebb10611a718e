"""What alembic runs: the migrations, inside the connection that the server gives."""

from __future__ import annotations

from alembic import context

from skillpm_registry.tables import Base

with context.config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
