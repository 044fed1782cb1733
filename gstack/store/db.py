"""The one SQLAlchemy object, and what SQLite needs to be shared by several processes.

Apart from the models so that each of them can import it. The surprising thing: SQLite transactions begin
IMMEDIATE, because a deferred one that turns into a write fails at once instead of waiting for its turn. They begin with
the first write: what was read before it may have been changed by others, which :func:`rewrite_each` is for.
Tables derive from :class:`Model`, not from ``db.Model``: only the former is a type that a checker can
follow.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, ColumnElement, CursorResult, Engine, Row, and_, event, inspect, make_url, select, update
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, Session

from gstack.settings import Settings
from gstack.store.files import REPLACED, Files


class Model(MappedAsDataclass, DeclarativeBase):
    """Base of every table of gstack."""


FILES = "files"  # of a connection: the numbers of its files
EXTENSION = "gstack.store.files"
CHUNK = 200  # rows rewritten in one transaction, so that others need not wait long for their turn

db = SQLAlchemy(metadata=Model.metadata)


def open_store(app: Flask, settings: Settings) -> None:
    """Connect ``app`` to the store of ``settings``. A SQLite file is made if it is not there, for its owner
    only."""
    url = make_url(settings.database_url)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    # As many connections as threads, or a request that waits for its operation would keep others from the
    # store.
    pool = (
        {} if url.database in (None, "", ":memory:") else {"pool_size": settings["GSTACK_THREADS"], "max_overflow": 16}
    )
    # What is written stands in no error, and so in no log.
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"hide_parameters": True} | pool
    db.init_app(app)
    with app.app_context():
        files = app.extensions[EXTENSION] = prepare_engine(db.engine)
    if files is not None:
        files.make()


def own_session() -> Session:
    """A session apart from the request's, for work that must commit by itself and give its connection back
    at once. Rows read in it stay readable after it is closed."""
    return Session(db.engine, expire_on_commit=False)


def rewrite_each(
    session: Session,
    table: type[Model],
    seen: ColumnElement[str],
    change: Callable[[Row[Any], str], dict[str, Any] | None],
) -> int:
    """Rewrite the rows of ``table`` while others write to it too; returns how many were rewritten.

    ``change`` gets a row's primary key and its ``seen``, and gives the new values, or None to leave the row alone. They
    are written only where ``seen`` is still the same; otherwise the row is read again. Commits every few rows.
    """
    key = inspect(table).primary_key
    count = 0
    for number, row in enumerate(session.execute(select(*key)).all(), 1):
        this = and_(*(column == value for column, value in zip(key, row, strict=True)))
        while (old := session.scalar(select(seen).where(this))) is not None:
            values = change(row, old)
            if values is None:
                break
            statement = update(table).where(this, seen == old).values(values)
            done = session.execute(statement, execution_options={"synchronize_session": False})
            if isinstance(done, CursorResult) and done.rowcount:
                count += 1
                break
        if number % CHUNK == 0:
            session.commit()
    session.commit()
    return count


def store_replaced(app: Flask) -> bool:
    """Whether files of the store of ``app`` went while it was in use: those in their place may have no tables."""
    files: Files | None = app.extensions[EXTENSION]
    return files is not None and files.replaced


def let_go_of_replaced(app: Flask) -> None:
    """Close the connections of ``app`` to files that are no longer there, as far as nobody uses them: by the index of a
    write-ahead log that somebody holds, others would misread the next one."""
    files: Files | None = app.extensions[EXTENSION]
    if files is not None and files.stale:
        with app.app_context():
            db.engine.pool.dispose()


def prepare_engine(engine: Engine) -> Files | None:
    """Make ``engine`` fit for several processes, and for a database whose files are taken away under it; gives those.
    An engine on anything but a SQLite file is left as it is."""
    path = _file_of(engine.url)
    if path is None:
        return None
    files = Files(path)

    @event.listens_for(engine, "do_connect")
    def _connecting(dialect: Any, record: Any, arguments: Any, named: Any) -> Any:
        connection, record.info[FILES] = files.connect(lambda: dialect.connect(*arguments, **named))
        return connection

    @event.listens_for(engine, "close")
    def _closing(connection: Any, record: Any) -> None:
        files.close(connection, record.info[FILES])

    @event.listens_for(engine, "checkout")
    def _taken(_connection: Any, record: Any, _proxy: Any) -> None:
        again = record.record_info.pop(FILES, False)
        if record.info[FILES] != files.now():
            engine.pool.dispose()  # those that nobody uses; the others close when they are given back
            if again:
                raise sqlite3.OperationalError(REPLACED)
            record.record_info[FILES] = True
            raise DisconnectionError(REPLACED)  # the pool opens another one, once

    @event.listens_for(engine, "checkin")
    def _given_back(_connection: Any, record: Any) -> None:
        if record.info.get(FILES) != files.now():
            record.invalidate()

    return files


def _file_of(url: URL) -> Path | None:
    """The file of a SQLite database, None for one in memory or of another kind."""
    on_disk = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if on_disk else None
