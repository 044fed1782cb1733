"""Bringing the database to the tables that the code expects.

Apart from ``db`` because it knows every model. The migrations are Python files of the package, run through
Alembic; ``flask db migrate`` in a checkout writes a new one. The surprising thing: web workers, the
operations worker and gstack-configure may all do this in the same second, so one at a time holds a lock and
the others find nothing to do.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.config import Config
from flask import Flask
from sqlalchemy import text

from gstack.store.db import db

MIGRATIONS = Path(__file__).parent / "migrations"
MODEL_MODULES = ("credentials", "operations", "overlay", "snapshots")
# Any number that no other program on the same PostgreSQL database is likely to lock.
ADVISORY_LOCK = 0x6773_7461_636B


def load_models() -> None:
    """Import every module that declares tables, so that the metadata is complete."""
    for name in MODEL_MODULES:
        import_module(f"gstack.store.{name}")


def upgrade_database(app: Flask) -> None:
    """Run the migrations that are missing; harmless when there are none."""
    load_models()
    with app.app_context(), _alone():
        command.upgrade(alembic_config(), "head")


def alembic_config() -> Config:
    """Alembic's configuration, which needs no file; works inside an application context."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


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
