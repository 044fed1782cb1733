"""The operations of a project in the order of a list, a page at a time, from the store.

Apart from the engine because reading a history is no part of making it. The surprising thing: no name of an operation
ever changes, so what the store leaves out for a filter changes nothing about what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from gstack.protocol.listing import Source
from gstack.protocol.ordering import Key
from gstack.store.db import db
from gstack.store.operations import Operation

# Members of GCE's operation that are a column as it stands.
COLUMNS: dict[str, InstrumentedAttribute[Any]] = {
    "name": Operation.name,
    "status": Operation.status,
    "operationType": Operation.type,
    "operationGroupId": Operation.operation_group_id,
    "clientOperationId": Operation.client_operation_id,
    "user": Operation.user,
}


class History(Source[Operation]):
    """The operations of a project, as a list asks for them.

    ``scope`` is the one whose operations are listed; None: all. ``equal`` and ``holding`` are what members must equal
    and must hold somewhere (:func:`gstack.protocol.listing.sought` and ``sought_words``).
    """

    def __init__(self, project: str, scope: str | None, equal: Mapping[str, str], holding: Mapping[str, str]) -> None:
        self._scope = scope
        self._where = [Operation.project == project]
        if scope is not None:
            self._where.append(Operation.scope == scope)
        for member, column in COLUMNS.items():
            text = equal.get(member, holding.get(member))
            if text is None or not text.isprintable():  # a store takes no NUL and no half of a character
                continue
            self._where.append(column == text if member in equal else column.contains(text, autoescape=True))

    def scope(self, row: Operation) -> str:
        """The row's scope; "" in the list of one."""
        return row.scope if self._scope is None else ""

    def read(self, after: Key, newest_first: bool, limit: int) -> Sequence[Operation]:
        """Up to ``limit`` rows behind the key ``after``."""
        columns: list[tuple[InstrumentedAttribute[Any], bool]] = [(Operation.scope, False), (Operation.name, False)]
        if newest_first:
            columns.insert(1, (Operation.insert_ms, True))
        query = select(Operation).where(*self._where, *self._behind(columns, after, newest_first))
        order = [column.desc() if falls else column for column, falls in columns]
        return db.session.scalars(query.order_by(*order).limit(limit)).all()

    def _behind(
        self, columns: list[tuple[InstrumentedAttribute[Any], bool]], after: Key, newest_first: bool
    ) -> list[ColumnElement[bool]]:
        if not after:
            return []
        # Keys are (scope, name, id), or (scope, 0, minus the microseconds, name, id): see Order.key.
        last = [after[0] if self._scope is None else self._scope]
        last += [-int(after[2]) // 1000, after[3]] if newest_first else [after[1]]
        behind: ColumnElement[bool] = false()
        for (column, falls), value in reversed(list(zip(columns, last, strict=True))):
            further = column < value if falls else column > value
            behind = or_(further, and_(column == value, behind))
        return [behind]
