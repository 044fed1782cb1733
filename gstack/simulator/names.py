"""Long lists of names that CloudStack ships with: operating systems and their categories, event types, and
what a domain admin may call beyond a user.

Apart from the catalogue, because no operator changes them. Surprising: the recordings show only a few of
the 374 operating systems, so the ids of the others are made up from their names, in the form of the rest.
"""

from __future__ import annotations

import gzip
import json
from binascii import crc32
from collections.abc import Iterable
from functools import cache
from typing import Any

from .apis import DATA
from .model import Row


@cache
def load() -> dict[str, Any]:
    """Keys: ostype (category → names), oscategory (rows), eventtype (names), domainadmin (commands)."""
    document: dict[str, Any] = json.loads(gzip.decompress((DATA / "names.json.gz").read_bytes()))
    return document


def event_types() -> list[str]:
    names: list[str] = load()["eventtype"]
    return names


def os_categories() -> list[Row]:
    rows: list[Row] = load()["oscategory"]
    return rows


def for_domain_admins() -> frozenset[str]:
    """The commands that the role Domain Admin has and the role User lacks."""
    return frozenset(load()["domainadmin"])


def os_types(recorded: Iterable[Row]) -> list[Row]:
    """A row for every operating system, by name; recorded ones as they were recorded."""
    known = {str(row["name"]): row for row in recorded}
    categories = {row["name"]: row["id"] for row in os_categories()}
    made: list[Row] = []
    for category, names in load()["ostype"].items():
        for name in names:
            row: Row = {"id": f"{crc32(name.encode()):08x}-e584-11f1-ba46-02fc00000001"}
            row.update(oscategoryid=categories[category], oscategoryname=category)
            row.update(name=name, description=name, isuserdefined=False, fordisplay=True)
            made.append({**row, **known.get(name, {})})
    return sorted(made, key=lambda row: str(row["name"]).casefold())
