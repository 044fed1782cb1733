"""What GCE has and CloudStack cannot hold, kept beside a CloudStack object and keyed by its id.

Apart because every room that shows or makes objects needs it. Two surprising things: nothing here but the resealing
commits, since a write belongs to the transaction of the operation's step, or of the request, that makes it true; and
metadata is sealed, since start-up scripts hold passwords, as are passwords themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import orjson
from flask import Flask, current_app
from sqlalchemy import JSON, ColumnElement, CursorResult, String, Text, bindparam, cast, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from gstack.store.db import Model, db, rewrite_each
from gstack.store.sealing import Sealer

EXTENSION = "gstack.overlay"
SEALED = frozenset({"metadata", "password"})
CHUNK = 500  # ids in one query; SQLite of old took no more than 999 parameters


class Overlay(Model):
    """The remembered members of one object. ``kind`` is GCE's collection (``instances``), ``data`` GCE's
    JSON.
    """

    __tablename__ = "overlay"

    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    cloudstack_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(String(255), index=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


# Written once, and of columns of the table: composing a statement costs as much as asking SQLite, and so does what the
# ORM does for a model's.
_TABLE = Overlay.__table__.c
_OF_KIND = select(_TABLE.cloudstack_id, _TABLE.data).where(_TABLE.kind == bindparam("kind"))
_OF_IDS = (
    select(_TABLE.kind, _TABLE.cloudstack_id, _TABLE.data)
    .where(_TABLE.kind.in_(bindparam("kinds", expanding=True)))
    .where(_TABLE.cloudstack_id.in_(bindparam("ids", expanding=True)))
)
_OF_PROJECT = _OF_KIND.where(_TABLE.project == bindparam("project"))


def init_app(app: Flask, sealer: Sealer) -> None:
    """Give ``app`` what seals metadata."""
    app.extensions[EXTENSION] = sealer


def read(kind: str, cloudstack_id: str) -> dict[str, Any]:
    """What is remembered of one object; empty if nothing is."""
    return read_many(kind, [cloudstack_id]).get(cloudstack_id, {})


def read_many(kind: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What is remembered of many objects, by id; those without anything are absent."""
    return {one: data for (_, one), data in _read([kind], ids)}


def _read(kinds: Sequence[str], ids: Iterable[str]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    rest = iter(dict.fromkeys(ids))
    while chunk := list(islice(rest, CHUNK)):
        for row in db.session.execute(_OF_IDS, {"kinds": kinds, "ids": chunk}):
            yield (row.kind, row.cloudstack_id), _opened(row.data)


class Remembered:
    """What is remembered of the objects of some ``kinds`` that one answer shows: of many read at once, where it is said
    beforehand which they are."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds
        self._asked: set[str] = set()
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def prepare(self, ids: Iterable[str]) -> None:
        """Read what is remembered of the objects that are about to be shown, unless it is known."""
        wanted = [one for one in ids if one not in self._asked]
        self._asked.update(wanted)
        self._known.update(_read(self._kinds, wanted))

    def of(self, cloudstack_id: str, kind: str = "") -> dict[str, Any]:
        """What is remembered of one object, of the first kind unless another is said; empty if nothing is."""
        if cloudstack_id not in self._asked:
            self.prepare([cloudstack_id])
        return self._known.get((kind or self._kinds[0], cloudstack_id), {})


def of_project(kind: str, project: str) -> dict[str, dict[str, Any]]:
    """What is remembered of all objects of a kind and a project, by id."""
    rows = db.session.execute(_OF_PROJECT, {"kind": kind, "project": project})
    return {row.cloudstack_id: _opened(row.data) for row in rows}


def projects(kind: str) -> set[str]:
    """The projects that have an object of a kind."""
    return set(db.session.scalars(select(Overlay.project).where(Overlay.kind == kind).distinct()))


def write(kind: str, cloudstack_id: str, project: str, data: dict[str, Any]) -> None:
    """Remember exactly ``data`` of one object, in place of whatever was remembered."""
    _put(kind, cloudstack_id, project, data)


def add(kind: str, cloudstack_id: str, project: str, data: dict[str, Any]) -> bool:
    """As :func:`write`, unless ``project`` has that object already; whether it had not. Of several at once one adds."""
    return _put(kind, cloudstack_id, project, data, unless=Overlay.project == project)


def change(kind: str, cloudstack_id: str, edit: Callable[[dict[str, Any]], dict[str, Any] | None]) -> bool:
    """Remember what ``edit`` makes of what is remembered of one object, while others write to it too; it may be asked
    again. False, and nothing is written, where nothing is remembered or ``edit`` gives None."""
    seen = cast(Overlay.data, Text)
    this = (Overlay.kind == kind, Overlay.cloudstack_id == cloudstack_id)
    while (old := db.session.scalar(select(seen).where(*this))) is not None:
        data = edit(_opened(json.loads(old)))
        if data is None:
            return False
        statement = update(Overlay).where(*this, seen == old).values(data=_closed(data))
        done = db.session.execute(statement, execution_options={"synchronize_session": False})
        if isinstance(done, CursorResult) and done.rowcount:
            return True
    return False


def hold(kind: str, cloudstack_id: str) -> bool:
    """Let nobody else change or forget one object until the transaction ends, so that what is read from here on holds
    until then; False where nothing is remembered of it. Waits for who holds it."""
    this = (Overlay.kind == kind, Overlay.cloudstack_id == cloudstack_id)
    statement = update(Overlay).where(*this).values(kind=kind)
    done = db.session.execute(statement, execution_options={"synchronize_session": False})
    return isinstance(done, CursorResult) and bool(done.rowcount)


def _put(
    kind: str, cloudstack_id: str, project: str, data: dict[str, Any], unless: ColumnElement[bool] | None = None
) -> bool:
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    values = {"kind": kind, "cloudstack_id": cloudstack_id, "project": project, "data": _closed(data)}
    statement = insert(Overlay).values(values)
    put = statement.on_conflict_do_update(
        index_elements=[Overlay.kind, Overlay.cloudstack_id],
        set_={"project": statement.excluded.project, "data": statement.excluded.data},
        where=None if unless is None else ~unless,
    )
    return db.session.scalar(put.returning(Overlay.kind)) is not None


def drop(kind: str, cloudstack_id: str) -> None:
    """Forget one object; nothing happens if nothing was remembered."""
    db.session.execute(delete(Overlay).where(Overlay.kind == kind, Overlay.cloudstack_id == cloudstack_id))


def reseal(session: Session, sealer: Sealer) -> int:
    """Seal again under the first key what is sealed, while others write; returns how many rows. Commits ``session``."""

    def change(_key: object, old: str) -> dict[str, Any] | None:
        data = json.loads(old)
        sealed = {name: data[name] for name in SEALED if isinstance(data.get(name), str)}
        return {"data": data | {name: sealer.rotate(text) for name, text in sealed.items()}} if sealed else None

    return rewrite_each(session, Overlay, cast(Overlay.data, Text), change)


def _closed(data: dict[str, Any]) -> dict[str, Any]:
    sealed = {name: _sealer().seal(orjson.dumps(data[name])) for name in SEALED if data.get(name)}
    return data | sealed


def _opened(data: dict[str, Any]) -> dict[str, Any]:
    if SEALED.isdisjoint(data):
        return data
    return {
        name: orjson.loads(_sealer().open(value)) if name in SEALED and isinstance(value, str) else value
        for name, value in data.items()
    }


def _sealer() -> Sealer:
    found: Sealer = current_app.extensions[EXTENSION]
    return found
