"""The one SQLAlchemy object, and what SQLite needs to be shared by several processes.

Apart from the models so that each of them can import it. The surprising thing: SQLite transactions begin
IMMEDIATE, because a deferred one that turns into a write fails at once instead of waiting for its turn. They begin with
the first write: what was read before it may have been changed by others, which :func:`rewrite_each` is for.
Tables derive from :class:`Model`, not from ``db.Model``: only the former is a type that a checker can
follow.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, ColumnElement, CursorResult, Engine, Row, and_, event, inspect, make_url, select, update
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, Session

from gstack.settings import Settings


class Model(MappedAsDataclass, DeclarativeBase):
    """Base of every table of gstack."""


CHUNK = 200  # rows rewritten in one transaction, so that others need not wait long for their turn

db = SQLAlchemy(metadata=Model.metadata)


def open_store(app: Flask, settings: Settings) -> None:
    """Connect ``app`` to the store of ``settings``. A SQLite file is made if it is not there, for its owner
    only."""
    url = make_url(settings.database_url)
    path = _file_of(url)
    if path is not None:
        _make_private(path)
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
        prepare_engine(db.engine)


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

    path = _file_of(engine.url)

    @event.listens_for(engine, "do_connect")
    def _connecting(*_: Any) -> None:
        if path is not None:
            _make_private(path)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        record.info["file"] = _number(path)
        connection.isolation_level = "IMMEDIATE"
        cursor = connection.cursor()
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "checkout")
    def _taken(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _number(path):  # SQLite would go on in a file that nobody else sees
            _clear_away(record.info.get("beside", {}))
            raise DisconnectionError("The database file was deleted or replaced.")

    @event.listens_for(engine, "checkin")
    def _given_back(_connection: Any, record: Any) -> None:
        if not record.info.get("beside"):
            beside = {file: _number(file) for file in _beside(path)}
            if all(beside.values()) and record.info.get("file") == _number(path):  # asked last: they were this one's
                record.info["beside"] = beside

    return engine


def store_number(settings: Settings) -> int:
    """What tells the store's file from another that takes its place; 0 where there is none."""
    return _number(_file_of(make_url(settings.database_url)))


def _beside(path: Path | None) -> list[Path]:
    """SQLite's own files of a database: its write-ahead log, and that log's index."""
    return [path.with_name(path.name + end) for end in ("-wal", "-shm")] if path is not None else []


def _clear_away(files: dict[Path, int]) -> None:
    """Take away SQLite's files of a database that is gone, as long as they are still its own: nothing in them says so,
    and SQLite would read the older one's pages out of them, or fail. Their numbers are nobody else's while the
    connection is open that they were taken from."""
    for folder in {file.parent for file in files}:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # others may do the same, and go on with files of the same names
            for file, number in files.items():
                if _number(file) == number:
                    file.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _number(path: Path | None) -> int:
    try:
        return path.stat().st_ino if path is not None else 0
    except FileNotFoundError:
        return 0


def _file_of(url: URL) -> Path | None:
    """The file of a SQLite database, None for one in memory or of another kind."""
    on_disk = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if on_disk else None
