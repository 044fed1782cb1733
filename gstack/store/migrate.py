"""Bringing the database to the tables that the code expects.

Apart from ``db`` because it knows every model. The migrations are Python files of the package, run through
Flask-Migrate; ``flask --app gstack.store.migrate db migrate -m "what changed"`` in a checkout writes a new one. The
surprising thing: web workers, the operations worker and gstack-configure may all do this in the same second, so one at
a time holds a lock and the others find nothing to do.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic import command
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import text

from gstack.settings import Settings, load
from gstack.store.db import Model, db, open_store
from gstack.store.sealing import keys_of

MIGRATIONS = Path(__file__).parent / "migrations"
MODEL_MODULES = ("credentials", "operations", "overlay", "snapshots")
# Any number that no other program on the same PostgreSQL database is likely to lock.
ADVISORY_LOCK = 0x6773_7461_636B


def _ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether a table that was found is to be compared: the operations engine keeps its own in the same database."""
    return kind != "table" or name in Model.metadata.tables


# No file of settings is needed. The doubled sign is for a path that holds one: Alembic would take it for a placeholder.
migrate = Migrate(db=db, directory=str(MIGRATIONS).replace("%", "%%"), include_name=_ours)


def load_models() -> None:
    """Import every module that declares tables, so that the metadata is complete."""
    for name in MODEL_MODULES:
        import_module(f"gstack.store.{name}")


def upgrade_database(app: Flask) -> None:
    """Run the migrations that are missing; harmless when there are none."""
    _prepare(app)
    with app.app_context(), _alone():
        # Not flask_migrate.upgrade: that ends the process where something is wrong, and this may be a thread of it.
        command.upgrade(migrate.get_config(), "head")


def ready_store(settings: Settings) -> Flask:
    """An application on the store of ``settings``, its tables up to date. Raises :class:`SettingsError` where there are
    no keys to open it with, before it makes anything."""
    keys_of(settings)
    app = Flask("gstack.store", static_folder=None)
    open_store(app, settings)
    upgrade_database(app)
    return app


def create_app() -> Flask:
    """What ``flask --app gstack.store.migrate db`` works on: the store of this installation."""
    app = Flask("gstack.store", static_folder=None)
    open_store(app, load())
    _prepare(app)
    return app


def _prepare(app: Flask) -> None:
    load_models()
    if "migrate" not in app.extensions:
        migrate.init_app(app)


@contextmanager
def _alone() -> Iterator[None]:
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        return
    path = db.engine.url.database
    if not path or path == ":memory:":
        yield
        return
    with os.fdopen(os.open(path + ".migrating", os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
