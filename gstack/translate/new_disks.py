"""From what a client says of a new disk to the volume that CloudStack has to make: empty, or of what there is.

Apart because disks.insert and the disks of instances.insert say it in other words and mean the same. The surprising
thing: the size is not always in the command. A volume made of a data disk's snapshot has the size and the offering of
that disk, whatever was asked for, so it is grown afterwards. And createVolume takes no template: the disk of an image
begins as the root volume of a machine that is never started (:mod:`gstack.operations.carriers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gstack.errors import GceError, invalid, not_ready
from gstack.translate import disk_types, images, machine_types, networks, snapshots, tags, volumes
from gstack.translate.caller import Caller
from gstack.translate.disk_types import DEFAULT_GB, DiskType
from gstack.translate.images import Image
from gstack.translate.interfaces import Interface, interfaces
from gstack.translate.places import Place

Row = Mapping[str, Any]

# What the disk of an image takes of CloudStack.
CARRYING = frozenset({"deployVirtualMachine", "detachVolume", "destroyVirtualMachine", "deleteVolume"})


@dataclass(frozen=True)
class Fields:
    """What the members are called in the request, for its errors."""

    size: str
    type: str
    snapshot: str
    labels: str
    disk: str = "resource.sourceDisk"  # an instance's disks are never copies
    image: str = "resource.sourceImage"


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
    if kind.custom_size and size is None:
        size = DEFAULT_GB
    if size is not None and size < 1:
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


def of_image(caller: Caller, place: Place, image: Image, wish: Wish, *, alias: str) -> dict[str, Any]:
    """The plan of a disk made of an image; ``alias`` is the project as the client wrote it. Raises GceError."""
    where = wish.fields.image
    if place.id not in image.zoneids:
        raise invalid(where, image.name, f"The image is not ready in zone {place.name}.")
    if image.row.get("deployasis"):
        raise invalid(where, image.name, "CloudStack makes all disks of this image at once, with an instance.")
    plan = _carried(caller, place, image.id, Origin("image", images.size_gb(image), None, {}), wish, alias=alias)
    return plan | {"warnings": images.use_warnings(image)}


def _carried(caller: Caller, place: Place, template: str, of: Origin, wish: Wish, *, alias: str) -> dict[str, Any]:
    """The plan of a disk of a template: ``carrier`` is what :mod:`gstack.operations.carriers` needs besides."""
    lacking = sorted(CARRYING - caller.catalogue.apis(caller.cloud))
    if lacking:
        message = f"This needs CloudStack's command {lacking[0]}, which CloudStack does not offer here."
        raise GceError("notImplemented", message, location=wish.fields.image)
    chosen = _root_disk(caller, of, wish)
    smallest = machine_types.of_caller(caller, place.id).smallest()
    if smallest is None:
        why = f"CloudStack makes the disk of an image with a machine, and no machine type of zone {place.name} fits."
        raise invalid(wish.fields.image, template, why)
    nic = _interface(caller, place, wish, template, alias)
    deploy = {"zoneid": place.id, "templateid": template, "serviceofferingid": smallest.id, **chosen}
    typed = wish.kind.alias and "overridediskofferingid" in chosen
    mark = {volumes.TYPE: volumes.type_mark(wish.kind.name, wish.kind.id)} if typed else {}
    return {
        "zone": place.id,
        "create": {"name": wish.name},
        "size_gb": None,
        "tags": _tags(wish, mark),
        "type": None,
        "carrier": {
            "deploy": deploy | ({} if nic.isolated else nic.deploy),
            "interfaces": [nic.plan] if nic.isolated else [],
        },
    }


def _root_disk(caller: Caller, of: Origin, wish: Wish) -> dict[str, Any]:
    """What the carrier's deployment says of size and type."""
    kind, size = wish.kind, wish.size_gb
    if size is not None and size < of.size_gb:
        raise _too_small(wish, of.what, of.size_gb)
    if disk_types.says_nothing(caller, kind):
        return {"rootdisksize": size or of.size_gb}
    chosen = {"overridediskofferingid": kind.id}
    if kind.custom_size:
        return chosen | {"rootdisksize": size or of.size_gb}
    if kind.size_gb < of.size_gb or size not in (None, kind.size_gb):
        raise invalid(wish.fields.size, size or of.size_gb, f"Disks of type '{kind.name}' have {kind.size_gb} GB.")
    return chosen


def _interface(caller: Caller, place: Place, wish: Wish, template: str, alias: str) -> Interface:
    """Where the carrier is: in any network of the zone, or the one that an instance would be given."""
    if networks.isolating(place):
        for network in networks.of_caller(caller):
            piece = network.in_zone(place.id)
            if piece is not None and piece.usable:
                return Interface(network.name, piece)
    try:
        return interfaces(caller, place, (alias, caller.project.id), [{}])[0]
    except GceError as error:
        why = f"CloudStack makes the disk of an image with a machine, which needs a network in zone {place.name}."
        raise invalid(wish.fields.image, template, f"{why} {error.message}") from None


def of_disk(caller: Caller, place: Place, given: str, wish: Wish, *, alias: str) -> dict[str, Any]:
    """The plan of a disk that is a copy of the one that a client named: it is made of a snapshot that nobody keeps. A
    disk that was never attached holds nothing, so that its copy is an empty disk, or one of the same image. Raises
    GceError."""
    where = wish.fields.disk
    there, source, row = volumes.referenced(caller, given, where, alias)
    if there.id != place.id:
        raise invalid(where, given, f"The disk must be in the zone of its copy, {place.name}.")
    mark = {volumes.DISK: volumes.source_mark(source, row["id"])}
    least = volumes.size_gb(row)
    template = volumes.awaited_template(row)
    if template is not None:
        return _carried(
            caller,
            place,
            template,
            Origin("disk", least, None, {}),
            replace(wish, marks={**wish.marks, **mark}),
            alias=alias,
        )
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
    return tags.new_tags(wish.labels, marks, wish.fields.labels)
