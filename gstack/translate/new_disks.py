"""From what a client says of a new disk to the volume that CloudStack has to make: empty, of a snapshot, or of a disk.

Apart because disks.insert and the disks of instances.insert say it in other words and mean the same. The surprising
thing: the size is not always in the command. A volume made of a data disk's snapshot has the size and the offering of
that disk, whatever was asked for, so it is grown afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gstack.errors import GceError, invalid, not_ready
from gstack.translate import snapshots, tags, volumes
from gstack.translate.caller import Caller
from gstack.translate.disk_types import DiskType
from gstack.translate.places import Place

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Fields:
    """What the members are called in the request, for its errors."""

    size: str
    type: str
    snapshot: str
    labels: str
    disk: str = "resource.sourceDisk"  # an instance's disks are never copies


@dataclass(frozen=True)
class Wish:
    """A disk to be made. ``size_gb`` is None where nothing was said; ``kind`` the type that was ``named``, or else the
    default one. ``marks`` are gstack's own besides those of name and type."""

    name: str
    kind: DiskType
    named: str | None
    size_gb: int | None
    labels: Mapping[str, str]
    fields: Fields
    marks: Mapping[str, str] = field(default_factory=dict)


def empty(place: Place, wish: Wish) -> dict[str, Any]:
    """The plan of an empty disk, for :func:`gstack.operations.disks.make`. Raises GceError invalid."""
    kind, size, where = wish.kind, wish.size_gb, wish.fields.size
    if kind.custom_size and not size:
        raise invalid(where, size or 0, f"A disk of type '{kind.name}' needs a size.")
    if size is not None and size < 0:
        raise invalid(where, size, "Must be at least 1.")
    if not kind.custom_size and size not in (None, kind.size_gb):
        raise invalid(where, size, f"Disks of type '{kind.name}' have {kind.size_gb} GB.")
    mark = {volumes.TYPE: volumes.type_mark(kind.name, kind.id)} if kind.alias else {}
    create = {"zoneid": place.id, "name": wish.name, "diskofferingid": kind.id}
    return {
        "zone": place.id,
        "create": create | ({"size": size} if kind.custom_size else {}),
        "size_gb": None,
        "tags": _tags(wish, mark),
        "type": None,
    }


def of_snapshot(caller: Caller, place: Place, given: str, wish: Wish, *, alias: str) -> dict[str, Any]:
    """The plan of a disk made of the snapshot that a client named; ``alias`` is the project as it wrote it. Raises
    GceError."""
    where = wish.fields.snapshot
    source, row = snapshots.referenced(caller, given, where, alias)
    if row["state"] != snapshots.READY:
        raise not_ready(f"projects/{caller.project.id}/global/snapshots/{source}")
    if row.get("zoneid") != place.id:
        raise invalid(where, given, f"CloudStack keeps it in zone {row.get('zonename')}, and makes disks of it there.")
    mark = {volumes.SNAPSHOT: volumes.source_mark(source, row["id"])}
    found = _copied(caller, place, wish, Origin("snapshot", snapshots.size_gb(row), row.get("volumetype"), row), mark)
    return found | {"create": found["create"] | {"snapshotid": row["id"]}}


def of_disk(caller: Caller, place: Place, given: str, wish: Wish, *, alias: str) -> dict[str, Any]:
    """The plan of a disk that is a copy of the one that a client named: it is made of a snapshot that nobody keeps. A
    disk that was never attached holds nothing, so that its copy is an empty disk. Raises GceError."""
    where = wish.fields.disk
    there, source, row = volumes.referenced(caller, given, where, alias)
    if there.id != place.id:
        raise invalid(where, given, f"The disk must be in the zone of its copy, {place.name}.")
    mark = {volumes.DISK: volumes.source_mark(source, row["id"])}
    least = volumes.size_gb(row)
    if row["state"] == "Allocated":
        size = wish.size_gb if wish.size_gb or not wish.kind.custom_size else least
        if (size or wish.kind.size_gb) < least:
            raise _too_small(wish, "disk", least)
        return empty(place, replace(wish, size_gb=size, marks={**wish.marks, **mark}))
    if row["state"] != "Ready":
        raise not_ready(volumes.path(caller.project.id, there, source))
    found = _copied(caller, place, wish, Origin("disk", least, row.get("type"), {"volumeid": row["id"]}), mark)
    return found | {"copy_of": row["id"]}


@dataclass(frozen=True)
class Origin:
    """What a disk is made of: ``what`` it is called in errors, its size in GiB, the type of its volume (``ROOT`` or
    ``DATADISK``), and a row with that volume's id."""

    what: str
    size_gb: int
    volume_type: str | None
    row: Row


def _copied(caller: Caller, place: Place, wish: Wish, origin: Origin, mark: Mapping[str, str]) -> dict[str, Any]:
    kind, size = wish.kind, wish.size_gb
    offering = _offering(caller, wish, origin)
    if offering and not kind.custom_size:
        if size not in (None, kind.size_gb):
            raise invalid(wish.fields.size, size, f"Disks of type '{kind.name}' have {kind.size_gb} GB.")
        size = kind.size_gb
    if size is not None and size < origin.size_gb:
        raise _too_small(wish, origin.what, origin.size_gb)
    create: dict[str, Any] = {"name": wish.name, **offering}
    if offering and kind.custom_size:
        create["size"] = size or origin.size_gb
    return {
        "zone": place.id,
        "create": create,
        "size_gb": size,
        "tags": _tags(wish, mark),
        "type": kind.name if wish.named and kind.alias else None,
    }


def _too_small(wish: Wish, what: str, least: int) -> GceError:
    why = f"Requested disk size cannot be smaller than the {what} size ({least} GB)"
    return invalid(wish.fields.size, wish.size_gb or wish.kind.size_gb, why)


def _offering(caller: Caller, wish: Wish, of: Origin) -> dict[str, str]:
    """What createVolume is told of the disk type: CloudStack lets it be chosen for what was a boot disk only.

    ``pd-standard`` is what clients write who have no preference.
    """
    kind = wish.kind
    if kind.alias and kind.name == volumes.DEFAULT_TYPE:
        return {}
    if of.volume_type == "ROOT":
        return {"diskofferingid": kind.id}
    origin = caller.cloud.first("listVolumes", id=of.row["volumeid"])
    if origin is None or origin.get("diskofferingid") != kind.id:
        why = "CloudStack makes a disk of a data disk, or of its snapshot, with the type of that disk."
        raise invalid(wish.fields.type, wish.named, why)
    return {}


def _tags(wish: Wish, own: Mapping[str, str]) -> list[dict[str, str]]:
    marks = {**volumes.marks(name=wish.name, boot=False), **own, **wish.marks}
    return tags.join(tags.plan_labels((), wish.labels, wish.fields.labels), tags.plan_own((), marks)).create
