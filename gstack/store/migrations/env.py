"""What Alembic runs to connect: the engine and the options that Flask-Migrate keeps for the application of the
context."""

from __future__ import annotations

from alembic import context
from flask import current_app

kept = current_app.extensions["migrate"]
with kept.db.engine.connect() as connection:
    context.configure(connection=connection, target_metadata=kept.metadata, **kept.configure_args)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
