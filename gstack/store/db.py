"""The one SQLAlchemy object, and what SQLite needs to be shared by several processes.

Apart from the models so that each of them can import it. The surprising thing: SQLite transactions begin IMMEDIATE,
because a deferred one that turns into a write fails at once instead of waiting for its turn.
Tables derive from :class:`Model`, not from ``db.Model``: only the former is a type that a checker can follow.
"""

from __future__ import annotations

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass


class Model(MappedAsDataclass, DeclarativeBase):
    """Base of every table of gstack."""


db = SQLAlchemy(metadata=Model.metadata)


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
