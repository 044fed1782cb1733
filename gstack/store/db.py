"""The one SQLAlchemy object, and what SQLite needs to be shared by several processes.

Apart from the models so that each of them can import it. The surprising thing: SQLite transactions begin
IMMEDIATE, because a deferred one that turns into a write fails at once instead of waiting for its turn.
Tables derive from :class:`Model`, not from ``db.Model``: only the former is a type that a checker can
follow.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event, make_url
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, Session

from gstack.settings import Settings


class Model(MappedAsDataclass, DeclarativeBase):
    """Base of every table of gstack."""


db = SQLAlchemy(metadata=Model.metadata)


def open_store(app: Flask, settings: Settings) -> None:
    """Connect ``app`` to the store of ``settings``. A SQLite file is made if it is not there, for its owner
    only."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        _make_private(Path(url.database))
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    # As many connections as threads, or a request that waits for its operation would keep others from the
    # store.
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = (
        {}
        if url.database in (None, "", ":memory:")
        else {
            "pool_size": settings["GSTACK_THREADS"],
            "max_overflow": 16,
        }
    )
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)


def own_session() -> Session:
    """A session apart from the request's, for work that must commit by itself and give its connection back
    at once. Rows read in it stay readable after it is closed."""
    return Session(db.engine, expire_on_commit=False)


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Only ever a new file: closing any descriptor of an open one drops this process's locks on it, and SQLite
    # elsewhere would delete the write-ahead log from under our connections (sqlite.org/howtocorrupt.html, 2.2).
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)


def prepare_engine(engine: Engine) -> Engine:
    """Make ``engine`` fit for several processes; on anything but SQLite it is returned as it is."""
    if engine.dialect.name != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        cursor = connection.cursor()
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
