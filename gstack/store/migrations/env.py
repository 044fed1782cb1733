"""What Alembic runs to connect: the engine and the tables of the application in whose context it is called.

Tables that are none of ours (the operations engine keeps its own in the same database) are left alone.
"""

from __future__ import annotations

from typing import Any

from alembic import context

from gstack.store.db import Model, db
from gstack.store.migrate import load_models


def ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether a table that was found in the database is to be compared at all."""
    return kind != "table" or name in Model.metadata.tables


load_models()
with db.engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Model.metadata,
        render_as_batch=True,
        compare_type=True,
        include_name=ours,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
