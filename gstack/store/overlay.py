"""What GCE has and CloudStack cannot hold, kept beside a CloudStack object and keyed by its id.

Apart because every room that shows or makes objects needs it. The surprising thing: nothing here commits. A
write belongs to the transaction of the operation's step, or of the request, that makes it true.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from sqlalchemy import JSON, String, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from gstack.store.db import Model, db

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


def read(kind: str, cloudstack_id: str) -> dict[str, Any]:
    """What is remembered of one object; empty if nothing is."""
    return read_many(kind, [cloudstack_id]).get(cloudstack_id, {})


def read_many(kind: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What is remembered of many objects, by id; those without anything are absent."""
    found: dict[str, dict[str, Any]] = {}
    rest = iter(dict.fromkeys(ids))
    while chunk := list(islice(rest, CHUNK)):
        query = select(Overlay.cloudstack_id, Overlay.data).where(
            Overlay.kind == kind, Overlay.cloudstack_id.in_(chunk)
        )
        found.update((row.cloudstack_id, row.data) for row in db.session.execute(query))
    return found


def write(kind: str, cloudstack_id: str, project: str, data: dict[str, Any]) -> None:
    """Remember exactly ``data`` of one object, in place of whatever was remembered."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    values = {"kind": kind, "cloudstack_id": cloudstack_id, "project": project, "data": data}
    statement = insert(Overlay).values(values)
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=[Overlay.kind, Overlay.cloudstack_id],
            set_={"project": statement.excluded.project, "data": statement.excluded.data},
        )
    )


def drop(kind: str, cloudstack_id: str) -> None:
    """Forget one object; nothing happens if nothing was remembered."""
    db.session.execute(
        delete(Overlay).where(Overlay.kind == kind, Overlay.cloudstack_id == cloudstack_id)
    )
