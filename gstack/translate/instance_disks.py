"""The disks of an instance that is to be made: what the body says of them, and what CloudStack has to be told.

Apart because it is half of all that a body says. The surprising thing: CloudStack deploys machines of templates only
(and of volumes on some hypervisors and some storage only), so a machine that boots from a disk that is there, or from a
snapshot, is deployed with a disk of its own that gives its place to the wanted one before the first start.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gstack.errors import GceError, in_use, invalid, not_found
from gstack.protocol.links import Reference
from gstack.translate import disk_types, images, new_disks, schedules, tags, volumes
from gstack.translate.caller import Caller
from gstack.translate.disk_types import DiskType
from gstack.translate.images import Image
from gstack.translate.machine_types import MachineType
from gstack.translate.names import checked_name
from gstack.translate.new_disks import Fields, Wish
from gstack.translate.places import Place

Body = Mapping[str, Any]
Tags = list[dict[str, str]]

ANOTHER_IMAGE = (
    "The disk was made of an image and never used. CloudStack would fill it with the image of the instance, which is "
    "another one: boot an instance from it first, or attach it to one of its own image."
)
MOST_DEVICE_NAME = 63
NO_TEMPLATE = "It was not made of an image, so CloudStack cannot tell what machine would boot from it."


@dataclass
class Disk:
    """What the boot disk and others have in common. An existing volume (``volume``) loses the tags ``untag``; one that
    has to be made is a plan of :func:`gstack.operations.disks.make` (``make``). ``schedule`` is that of its snapshots,
    as :meth:`gstack.translate.schedules.Schedule.stored` has it."""

    name: str
    volume: str | None = None
    make: dict[str, Any] | None = None
    untag: Tags = field(default_factory=list)
    tags: Tags = field(default_factory=list)
    overlay: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] | None = None


@dataclass
class Extra(Disk):
    """A disk besides the boot disk; ``index`` is its place in the body. ``awaits``: the template that it is yet to be
    filled of (:func:`gstack.translate.volumes.awaited_template`), also where it is to be made of one."""

    index: int = 0
    awaits: str | None = None


@dataclass
class Boot(Disk):
    """The boot disk. CloudStack makes it of ``template``, with ``deploy`` for parameters of deployVirtualMachine; or a
    volume, an existing one or one made of a snapshot, takes the place of the one that CloudStack makes. ``warnings``
    are those of :func:`gstack.translate.images.use_warnings`."""

    template: str | None = None
    deploy: dict[str, Any] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)


def existing_disk(caller: Caller, place: Place, disk: Body, *, alias: str) -> Extra:
    """The disk that ``source`` of an AttachedDisk names. Raises GceError notFound, invalid, or
    resourceInUseByAnotherResource."""
    return Disks(caller, place, alias).existing(disk, "resource", 0)[0]


def check_fills(disk: Extra, template: str | None, where: str) -> None:
    """Raise GceError invalid for a disk that CloudStack would fill of ``template``, its machine's, and not of its own
    image."""
    if disk.awaits not in (None, template):
        raise invalid(where, disk.name, ANOTHER_IMAGE)


def check_device_name(name: str, taken: Container[str], where: str) -> None:
    """Raise GceError invalid for a device name that is too long or another disk's of the instance."""
    if name in taken:
        raise invalid(where, name, "The device name is used by another disk of the instance.")
    if len(name) > MOST_DEVICE_NAME:
        raise invalid(where, name, f"A device name may have {MOST_DEVICE_NAME} characters at most.")


class Disks:
    """Turns what a body says of disks into what CloudStack is told; ``alias`` is the project as the client wrote it."""

    def __init__(self, caller: Caller, place: Place, alias: str) -> None:
        self.caller = caller
        self.place = place
        self.alias = alias
        self.aliases = (alias, caller.project.id)

    def read(self, given: list[Body], instance: str, size: MachineType) -> tuple[Boot, list[Extra]]:
        """The boot disk of a machine and the others. Raises GceError."""
        first, others = _boot_first(given)
        boot = self.boot(first, instance, size, "resource.disks[0]")
        extras = [self.further(disk, instance, f"resource.disks[{disk['index']}]") for disk in others]
        for disk, made in zip([first, *others], [boot, *extras], strict=True):
            made.schedule = self._schedule(disk)
        for extra in extras:
            if extra.volume is not None:
                check_fills(extra, boot.template, f"resource.disks[{extra.index}].source")
        _check_disk_names([(boot.name, 0), *((extra.name, extra.index) for extra in extras)])
        _check_device_names([boot, *extras])
        return boot, extras

    def boot(self, disk: Body, instance: str, size: MachineType, where: str) -> Boot:
        initial = _initial(disk)
        if disk.get("source"):
            return self._existing_boot(disk, where)
        name = checked_name(initial.get("diskName") or instance, f"{where}.initializeParams.diskName")
        if initial.get("sourceSnapshot"):
            make = self._of_snapshot(disk, name, where, boot=True)
            return Boot(name, make=make, overlay=_remembered(disk))
        image = self.image(initial.get("sourceImage"), f"{where}.initializeParams.sourceImage")
        chosen = initial.get("diskType")
        kind = self.disk_type(chosen, f"{where}.initializeParams.diskType") if chosen else None
        if kind is not None and disk_types.says_nothing(self.caller, kind):
            kind = None
        gigabytes = initial.get("diskSizeGb") or disk.get("diskSizeGb")
        marks = volumes.marks(
            name=name if name != instance else None,
            auto_delete=bool(disk.get("autoDelete")),
            type=_type_mark(kind),
            boot=True,
        )
        return Boot(
            name,
            template=image.id,
            deploy=_root_disk(image, size, kind, gigabytes, f"{where}.initializeParams.diskSizeGb"),
            tags=tags.new_tags(initial.get("labels") or {}, marks, f"{where}.initializeParams.labels"),
            overlay=_remembered(disk),
            warnings=images.use_warnings(image),
        )

    def _existing_boot(self, disk: Body, where: str) -> Boot:
        found, row = self.existing(disk, where, int(disk["index"]))
        template = str(row.get("templateid") or "")
        known = images.find(self.caller, lambda known: known.of_template(template)) if template else None
        if known is None:
            raise invalid(f"{where}.source", disk["source"], NO_TEMPLATE)
        return Boot(found.name, found.volume, None, found.untag, found.tags, found.overlay, template=template)

    def _of_snapshot(self, disk: Body, name: str, where: str, *, boot: bool) -> dict[str, Any]:
        """The plan of a volume to be made of the snapshot that ``disk`` names."""
        initial, where = _initial(disk), f"{where}.initializeParams"
        if initial.get("sourceImage"):
            raise invalid(f"{where}.sourceImage", initial["sourceImage"], "It excludes sourceSnapshot.")
        wish = self._wish(disk, name, where, boot=boot)
        plan = new_disks.of_snapshot(self.caller, self.place, initial["sourceSnapshot"], wish, alias=self.alias)
        return plan | {"overlay": {}}

    def _schedule(self, disk: Body) -> dict[str, Any] | None:
        given = _initial(disk).get("resourcePolicies") or []
        where = f"resource.disks[{disk['index']}].initializeParams.resourcePolicies"
        return schedules.of_disk(self.caller, given, where, region=self.place.region, alias=self.alias)

    def image(self, given: str | None, where: str) -> Image:
        if not given:
            raise invalid(where, "", "A boot disk needs a source image.")
        found = images.referenced(self.caller, given, where, self.alias, self.place.id)
        if self.place.id not in found.zoneids:
            raise invalid(where, given, f"The image is not ready in zone {self.place.name}.")
        return found

    def disk_type(self, given: str, where: str) -> DiskType:
        return disk_types.referenced(self.caller, given, where, self.place)

    def further(self, disk: Body, instance: str, where: str) -> Extra:
        index, initial = int(disk["index"]), _initial(disk)
        if disk.get("source"):
            return self.existing(disk, where, index)[0]
        name = checked_name(initial.get("diskName") or _derived(instance, index), f"{where}.initializeParams.diskName")
        if initial.get("sourceSnapshot"):
            return Extra(
                name, index=index, make=self._of_snapshot(disk, name, where, boot=False), overlay=_remembered(disk)
            )
        where = f"{where}.initializeParams"
        wish, template = self._wish(disk, name, where, boot=False), None
        if initial.get("sourceImage"):
            image = self.image(initial["sourceImage"], f"{where}.sourceImage")
            make, template = new_disks.of_image(self.caller, self.place, image, wish, alias=self.alias), image.id
        else:
            make = new_disks.empty(self.place, wish)
        kept = _remembered(disk)
        return Extra(name, index=index, make=make | {"overlay": {}}, overlay=kept, awaits=template)

    def _wish(self, disk: Body, name: str, where: str, *, boot: bool) -> Wish:
        """What is said of a disk to be made; ``where`` is the path of its initializeParams."""
        initial = _initial(disk)
        named, size = initial.get("diskType"), initial.get("diskSizeGb")
        return Wish(
            name,
            self.disk_type(named or volumes.DEFAULT_TYPE, f"{where}.diskType"),
            named,
            disk.get("diskSizeGb") if size is None else size,
            initial.get("labels") or {},
            _fields(where),
            volumes.marks(auto_delete=bool(disk.get("autoDelete")), boot=boot),
        )

    def existing(self, disk: Body, where: str, index: int) -> tuple[Extra, Mapping[str, Any]]:
        """The disk that ``source`` names, which no instance may use, and its volume."""
        given = str(disk["source"])
        if _initial(disk):
            raise invalid(f"{where}.initializeParams", "", "It cannot be given together with a source.")
        reference = self._parse(given, "disks", f"{where}.source")
        self._check_zone(reference, given, f"{where}.source")
        if reference.project not in self.aliases:
            raise invalid(f"{where}.source", given, "The disk belongs to another project.")
        found = volumes.find(self.caller.cloud, self.place.id, reference.name)
        if found is None:
            raise not_found(f"projects/{self.caller.project.id}/zones/{self.place.name}/disks/{reference.name}")
        name, row = found
        if "virtualmachineid" in row:
            raise self._used(row, name, f"{where}.source")
        said, size = disk.get("diskSizeGb"), volumes.size_gb(row)
        if said not in (None, size):
            raise invalid(f"{where}.diskSizeGb", said, f"The disk that is there has {size} GB.")
        boot, goes = bool(disk.get("boot")), bool(disk.get("autoDelete"))
        marks: dict[str, str | None] = {
            volumes.AUTO_DELETE: volumes.marks(auto_delete=goes, boot=boot).get(volumes.AUTO_DELETE)
        }
        if boot:
            marks[volumes.NAME] = name  # or it would be called as its instance is
        changes, awaits = tags.plan_own(row.get("tags", ()), marks), volumes.awaited_template(row)
        kept = _remembered(disk)
        extra = Extra(name, str(row["id"]), None, changes.delete, changes.create, kept, index=index, awaits=awaits)
        return extra, row

    def _used(self, row: Mapping[str, Any], name: str, where: str) -> GceError:
        zone = f"projects/{self.caller.project.id}/zones/{self.place.name}"
        return in_use(f"{zone}/disks/{name}", f"'{zone}/instances/{volumes.machine_name(row)}'", where)

    def _parse(self, given: str, collection: str, where: str) -> Reference:
        return self.caller.refer(given, collection=collection, field=where, zone=self.place.name)

    def _check_zone(self, reference: Reference, given: str, where: str) -> None:
        zone = reference.zone
        if zone is not None and zone not in (self.place.name, self.place.cloudstack_name):
            raise invalid(where, given, f"It must be in the instance's own zone, {self.place.name}.")


def _initial(disk: Body) -> Body:
    return disk.get("initializeParams") or {}


def _boot_first(disks: list[Body]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The boot disk and the others, each with its place in the body (``index``)."""
    if not disks:
        raise invalid("resource.disks", "", "No disks are specified.")
    placed = [{**disk, "index": index} for index, disk in enumerate(disks)]
    boot = [disk for disk in placed if disk.get("boot")]
    if len(boot) != 1:
        raise invalid("resource.disks", len(boot), "Exactly one disk must be the boot disk.")
    if boot[0]["index"] != 0:
        raise invalid(f"resource.disks[{boot[0]['index']}].boot", "true", "The boot disk must be the first disk.")
    return boot[0], placed[1:]


def _root_disk(
    image: Image, size: MachineType, kind: DiskType | None, gigabytes: int | None, where: str
) -> dict[str, Any]:
    """What the deployment says about the root disk; nothing where CloudStack's default is what was asked for."""
    least = images.size_gb(image)
    if gigabytes is not None and gigabytes < least:
        raise invalid(where, gigabytes, f"Requested disk size cannot be smaller than the image size ({least} GB)")
    fixed = int(size.offering.get("rootdisksize") or 0)
    if kind is None:
        if fixed and gigabytes not in (None, fixed):
            # CloudStack would take the offering's size without a word.
            raise invalid(where, gigabytes, f"Machine type '{size.name}' comes with a boot disk of {fixed} GB.")
        return {} if gigabytes is None or fixed else {"rootdisksize": gigabytes}
    if size.offering.get("diskofferingstrictness"):
        why = f"Machine type '{size.name}' allows no other disk type than its own."
        raise invalid(where.replace("diskSizeGb", "diskType"), kind.name, why)
    chosen = {"overridediskofferingid": kind.id}
    if kind.custom_size:
        return chosen | {"rootdisksize": gigabytes or least}
    if kind.size_gb < least or gigabytes not in (None, kind.size_gb):
        raise invalid(where, gigabytes or least, f"Disks of type '{kind.name}' have {kind.size_gb} GB.")
    return chosen


def _type_mark(kind: DiskType | None) -> str | None:
    return volumes.type_mark(kind.name, kind.id) if kind is not None and kind.alias else None


def _derived(instance: str, index: int) -> str:
    """GCE's name for a further disk that was given none."""
    suffix = f"-{index}"
    return instance[: 63 - len(suffix)].rstrip("-") + suffix


def _check_disk_names(found: list[tuple[str, int]]) -> None:
    seen: set[str] = set()
    for name, index in found:
        if name in seen:
            raise invalid(f"resource.disks[{index}]", name, "Two disks of one name.")
        seen.add(name)


def _check_device_names(disks: Sequence[Disk]) -> None:
    seen: set[str] = set()
    for index, disk in enumerate(disks):
        name = volumes.device_name(disk.overlay, index)
        check_device_name(name, seen, f"resource.disks[{index}].deviceName")
        seen.add(name)


def _remembered(disk: Body) -> dict[str, Any]:
    """What the overlay keeps of a disk: CloudStack has no place for it."""
    said = {"deviceName": disk.get("deviceName")}
    said |= {member: _initial(disk).get(member) for member in ("description", "architecture")}
    return {member: value for member, value in said.items() if value}


def _fields(where: str) -> Fields:
    return Fields(
        size=f"{where}.diskSizeGb",
        type=f"{where}.diskType",
        snapshot=f"{where}.sourceSnapshot",
        labels=f"{where}.labels",
        image=f"{where}.sourceImage",
    )
