"""Collections whose objects are rows of the store: how they are read, made, changed and taken away.

Apart because several collections are nothing else, and differ in their bodies and in who uses them. What a change means
for CloudStack is not known here. The surprising thing: a change that CloudStack has no part in is an operation that is
DONE when it is answered, and of two at once the later one stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

from gstack.errors import already_exists, invalid, not_found
from gstack.operations import engine
from gstack.protocol.call import Call
from gstack.protocol.listing import listing
from gstack.store import overlay
from gstack.translate import kept, places, scopes
from gstack.translate.names import checked_name
from gstack.translate.times import rfc3339

Row = dict[str, Any]
Prepare = Callable[[Sequence[Row]], object]


@dataclass(frozen=True)
class Collection:
    """A collection called ``name``, which is its kind in the store as well; ``item`` is the name's place in the URL.
    ``view`` renders a row of :func:`gstack.translate.kept.new`."""

    name: str
    item: str
    view: Callable[[Call, Row], Row]

    def scope(self, call: Call) -> str:
        """Where the URL looks: ``global``, ``regions/r`` or ``zones/z``. Raises GceError notFound."""
        if "zone" in call.params:
            return f"zones/{places.require_zone(call.caller, call.params['zone']).name}"
        if "region" in call.params:
            return f"regions/{places.require_region(call.caller, call.params['region'])}"
        return "global"

    def path(self, call: Call, row: Row) -> str:
        """The link of a row from ``projects/`` on."""
        return f"projects/{call.project}/{kept.path(self.name, row)}"

    def found(self, call: Call) -> Row:
        """The row that the URL names, by name or number. Raises GceError notFound."""
        scope, wanted = self.scope(call), str(call.params.get(self.item) or call.params["resource"])
        row = kept.find(call.caller.project, self.name, scope, wanted)
        if row is None:
            raise not_found(f"projects/{call.project}/{scope}/{self.name}/{wanted}")
        return row

    def get(self, call: Call) -> Row:
        """The answer of a get."""
        return self.view(call, self.found(call))

    def list(self, call: Call, prepare: Prepare | None = None) -> Row:
        """The answer of a list; ``prepare`` is told which rows are about to be rendered."""
        scope = self.scope(call)
        rows = [row for row in kept.rows(call.caller.project, self.name) if row["scope"] == scope]
        return listing(call, rows, kept.shape(partial(self.view, call), prepare))

    def aggregated(self, call: Call, *kinds: str, prepare: Prepare | None = None) -> Row:
        """The answer of an aggregated list; ``kinds`` are the scopes where such objects are (``global``, ``regions``,
        ``zones``), ``prepare`` as in :meth:`list`."""
        rows = scopes.grouped(kept.rows(call.caller.project, self.name), itemgetter("scope"))
        return scopes.aggregated_in(call, kinds, rows, self.name, kept.shape(partial(self.view, call), prepare))

    def new(self, call: Call, body: Row) -> Row:
        """A row for what the request makes. Raises GceError for its name, ``alreadyExists`` where it is taken."""
        row = kept.new(call.caller.project, self.name, self.scope(call), checked_name(call.body.get("name")), body)
        if kept.find(call.caller.project, self.name, row["scope"], row["name"]) is not None:
            raise already_exists(self.path(call, row))
        return row

    def insert(self, call: Call, body: Row) -> Row:
        """Keep a new object."""
        row = self.new(call, body)
        project = call.caller.project
        if not overlay.add(self.name, kept.key(project, self.name, row), project.id, row):
            raise already_exists(self.path(call, row))  # by another request, since the look above
        return engine.done(call, type="insert", target=self.path(call, row), target_id=row["number"])

    def change(self, call: Call, row: Row, body: Row) -> Row:
        """Put ``body`` in the place of a row's. Raises GceError notFound where it was deleted since."""

        def changed(now: Row) -> Row | None:
            return {**row, "body": body} if now["number"] == row["number"] else None

        if not overlay.change(self.name, kept.key(call.caller.project, self.name, row), changed):
            raise not_found(self.path(call, row))
        return engine.done(call, type=call.method.verb, target=self.path(call, row), target_id=row["number"])

    def delete(self, call: Call, row: Row) -> Row:
        """Forget a row that nothing uses."""
        overlay.drop(self.name, kept.key(call.caller.project, self.name, row))
        return engine.done(call, type="delete", target=self.path(call, row), target_id=row["number"])

    def shown(self, call: Call, row: Row) -> Row:
        """What every view says: number, date, name, description, place and link."""
        kind = row["scope"].partition("/")[0]
        container = call.links.absolute(f"projects/{call.project}/{row['scope']}")
        return {
            "id": row["number"],
            "creation_timestamp": rfc3339(row["created"]),
            "name": row["name"],
            "description": row["body"].get("description"),
            "region": container if kind == "regions" else None,
            "zone": container if kind == "zones" else None,
            "self_link": call.links.absolute(self.path(call, row)),
        }


def unchanged(call: Call, row: Row, *members: str) -> None:
    """Raises GceError where the body says otherwise than the row what cannot be changed: its name and ``members``."""
    for member in ("name", *members):
        before = row["name"] if member == "name" else row["body"].get(member)
        if call.body.get(member, before) != before:
            raise invalid(f"resource.{member}", call.body[member], "It cannot be changed.")
