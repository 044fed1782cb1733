"""Rows of the store that are GCE objects of their own: what CloudStack has nothing for.

Apart because several collections are kept so. The surprising thing: a project's name does not say whose a row is, as
accounts of two domains may be called alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape
from gstack.store import overlay
from gstack.translate import times
from gstack.translate.caller import Project

Row = TypeVar("Row", bound=Mapping[str, Any])


def owner(project: Project) -> str:
    """Whose a row of the store is: names of projects may be those of several accounts."""
    return project.cloudstack_id or f"{project.domain_id}/{project.account}"


def store_key(project: Project, kind: str, name: str) -> str:
    """The key of a row of the store that has no CloudStack object."""
    return hashlib.blake2b(f"{owner(project)}/{kind}/{name}".encode(), digest_size=16).hexdigest()


def rows(project: Project, kind: str) -> list[dict[str, Any]]:
    """The rows of a kind that the store keeps for a project; each has its ``owner``."""
    return [data for data in overlay.of_project(kind, project.id).values() if data.get("owner") == owner(project)]


def new(project: Project, kind: str, scope: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """A row for a new object in ``scope`` (``global``, ``regions/r``, ``zones/z``); ``body`` is what GCE shows of it
    beyond its name, number, date and place, with references as paths below the project."""
    return {**born(project, kind, f"{scope}/{name}"), "scope": scope, "name": name, "body": body}


def born(project: Project, kind: str, name: str) -> dict[str, str]:
    """What every new row says: its ``owner``, the date it was ``created`` at, and its ``number``. ``name`` as of
    :func:`store_key`."""
    created = times.now()
    number = numeric_id(f"{store_key(project, kind, name)}/{created}")
    return {"owner": owner(project), "created": created, "number": str(number)}


def shape(
    view: Callable[[Row], dict[str, Any]], prepare: Callable[[Sequence[Row]], object] | None = None
) -> Shape[Row]:
    """How lists read such rows; ``prepare`` as in :class:`gstack.protocol.listing.Shape`."""
    return Shape(view, itemgetter("name"), itemgetter("created"), itemgetter("number"), prepare)


def path(kind: str, row: dict[str, Any]) -> str:
    """The path of a row of :func:`new` below its project."""
    return f"{row['scope']}/{kind}/{row['name']}"


def key(project: Project, kind: str, row: dict[str, Any]) -> str:
    """The store's key of a row of :func:`new`."""
    return store_key(project, kind, f"{row['scope']}/{row['name']}")


def find(project: Project, kind: str, scope: str, name: str) -> dict[str, Any] | None:
    """The row of :func:`new` of that name, or number, in a scope."""
    found = (row for row in rows(project, kind) if row["scope"] == scope)
    return next((row for row in found if name in (row["name"], row["number"])), None)
