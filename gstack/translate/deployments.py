"""From the body of instances.insert to what CloudStack has to make: everything that can be wrong is found out here.

Apart from the handler because templates and groups of instances will need the same, and from the workflow because a
client wants to hear what is wrong at once. The surprising thing: a plan names CloudStack's ids, so an image or a
machine type that changes its meaning meanwhile does not change what was accepted.

Sources of the sentences: what GCE answers to gcloud and Terraform for the same mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gstack.errors import GceError, invalid, not_found
from gstack.protocol.ids import numeric_id
from gstack.protocol.links import Reference, parse
from gstack.translate import disk_types, images, machine_types, machines, tags, userdata, volumes
from gstack.translate.caller import Caller
from gstack.translate.disk_types import DiskType
from gstack.translate.images import Image
from gstack.translate.interfaces import interface
from gstack.translate.machine_types import MachineType
from gstack.translate.names import is_label
from gstack.translate.places import Place

Body = Mapping[str, Any]

GIB = 2**30
MOST_NETWORK_TAGS = 64
NAME_RULE = "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'"


@dataclass
class Extra:
    """A disk besides the boot disk: an existing volume (``volume``), or one to be made of ``offering`` with
    ``size_gb``."""

    name: str
    index: int
    volume: str | None = None
    offering: str | None = None
    size_gb: int | None = None
    untag: list[dict[str, str]] = field(default_factory=list)
    tags: list[dict[str, str]] = field(default_factory=list)
    overlay: dict[str, Any] = field(default_factory=dict)


@dataclass
class Deployment:
    """A plan, as JSON the input of the workflow.

    ``deploy`` are parameters of deployVirtualMachine (without userdata and groups), ``tags`` and ``boot_tags`` those of
    createTags for the machine and its root volume, ``boot_overlay`` what is remembered of the latter. ``isolated``: in
    an isolated network there are no security groups; ``make`` is the plan of that network where it has to be made
    first, ``access`` what :func:`gstack.operations.addresses.attach` needs for the external address, if one is wanted.
    """

    name: str
    zone: str
    network: str
    deploy: dict[str, Any]
    network_tags: list[str]
    service_accounts: list[str]
    tags: list[dict[str, str]]
    boot_disk: str
    boot_tags: list[dict[str, str]]
    boot_overlay: dict[str, Any]
    extras: list[Extra]
    protect: bool
    isolated: bool = False
    make: dict[str, Any] | None = None
    access: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    @property
    def new_disks(self) -> list[str]:
        """The names of the disks that will be made."""
        return [self.boot_disk, *(extra.name for extra in self.extras if extra.volume is None)]


def deployment(caller: Caller, place: Place, body: Body, *, alias: str) -> Deployment:
    """What ``body`` (checked against schema and policy) asks for in a zone. ``alias`` is the project as the client
    wrote it. Raises GceError: ``invalid`` naming the field, ``notFound`` for an image family."""
    name = checked_name(body.get("name"))
    reader = _Reader(caller, place, alias)
    size = reader.machine_type(body.get("machineType"))
    boot, others = _boot_first(body.get("disks") or [])
    image, root = reader.boot(boot, size, f"resource.disks[{boot['index']}]")
    nic = interface(caller, place, (alias, caller.project.id), body.get("networkInterfaces") or [])
    worn = network_tags((body.get("tags") or {}).get("items") or [])
    mark = machines.type_mark(size.name, size.id, size.cpus, size.memory_mb)
    own = {machines.MACHINE_TYPE: mark} if size.alias or size.custom else {}
    accounts = [str(account.get("email", "")) for account in body.get("serviceAccounts") or []]
    if nic.isolated and accounts:
        own[machines.ACCOUNTS] = " ".join(accounts)
    boot_name = root.pop("name") or name
    extras = [reader.further(disk, name, f"resource.disks[{disk['index']}]") for disk in others]
    _check_disk_names([(boot_name, int(boot["index"])), *((extra.name, extra.index) for extra in extras)])
    return Deployment(
        name=name,
        zone=place.name,
        network=nic.network,
        deploy={
            "zoneid": place.id,
            "templateid": image.id,
            "serviceofferingid": size.id,
            **({"details": size.details} if size.details else {}),
            **root.pop("deploy"),
            **nic.deploy,
        },
        network_tags=worn,
        service_accounts=accounts,
        tags=_tags(body.get("labels") or {}, worn, own, "resource.labels"),
        boot_disk=boot_name,
        boot_tags=_tags(
            _initial(boot).get("labels") or {},
            [],
            volumes.marks(
                name=boot_name if boot_name != name else None,
                auto_delete=bool(boot.get("autoDelete")),
                type=root.pop("type"),
                boot=True,
            ),
            f"resource.disks[{boot['index']}].initializeParams.labels",
        ),
        boot_overlay=_remembered(boot),
        extras=extras,
        protect=bool(body.get("deletionProtection")),
        isolated=nic.isolated,
        make=nic.make,
        access=nic.access,
    )


def user_data(body: Body, inherited: Sequence[Body] = ()) -> str | None:
    """The parameter ``userdata`` of the deployment; ``inherited`` are metadata items of the project. Raises GceError
    invalid."""
    return userdata.compose((body.get("metadata") or {}).get("items") or [], body.get("hostname"), inherited)


def machine_type(caller: Caller, place: Place, given: str | None, *, alias: str) -> MachineType:
    """The machine type that a body's ``machineType`` names. Raises GceError required or invalid."""
    return _Reader(caller, place, alias).machine_type(given)


def existing_disk(caller: Caller, place: Place, disk: Body, *, alias: str) -> Extra:
    """The disk that ``source`` of an AttachedDisk names. Raises GceError notFound, invalid, or
    resourceInUseByAnotherResource."""
    return _Reader(caller, place, alias).existing(disk, "resource", 0, _remembered(disk))


class _Reader:
    """Turns references of a body into CloudStack's ids."""

    def __init__(self, caller: Caller, place: Place, alias: str) -> None:
        self.caller = caller
        self.place = place
        self.aliases = (alias, caller.project.id)

    def machine_type(self, given: str | None) -> MachineType:
        where = "resource.machineType"
        if not given:
            raise GceError("required", f"Required field '{where}' not specified", location=where)
        reference = self._parse(given, "machineTypes", where)
        self._check_zone(reference, given, where)
        try:
            found = machine_types.find(self.caller, reference.name, self.place.id)
        except GceError as error:  # a custom size that no offering allows
            raise invalid(where, given, error.message.rpartition("'. ")[2]) from None
        if found is None:
            raise invalid(where, given, "The referenced resource does not exist.")
        return found

    def boot(self, disk: Body, size: MachineType, where: str) -> tuple[Image, dict[str, Any]]:
        """The image, and of the boot disk: its ``name`` or None, its ``type`` mark and parameters of the deployment."""
        initial = _initial(disk)
        image = self.image(initial.get("sourceImage"), f"{where}.initializeParams.sourceImage")
        chosen = initial.get("diskType")
        kind = self.disk_type(chosen, f"{where}.initializeParams.diskType") if chosen else None
        if kind is not None and self._says_nothing(kind):
            kind = None
        name = initial.get("diskName")
        if name is not None:
            checked_name(name, f"{where}.initializeParams.diskName")
        gigabytes = initial.get("diskSizeGb") or disk.get("diskSizeGb")
        deploy = _root_disk(image, size, kind, gigabytes, f"{where}.initializeParams.diskSizeGb")
        return image, {"name": name, "type": _type_mark(kind), "deploy": deploy}

    def _says_nothing(self, kind: DiskType) -> bool:
        """Whether it is what clients write who have no preference: then the machine type's own storage is the right
        one, unless the operator chose another."""
        aliases = self.caller.settings["DISK_TYPE_ALIASES"]
        return kind.alias and kind.name == volumes.DEFAULT_TYPE and kind.name not in aliases

    def image(self, given: str | None, where: str) -> Image:
        if not given:
            raise invalid(where, "", "A boot disk needs a source image.")
        reference = self._parse(given, "images", where)
        project = self.caller.project.id if reference.project in self.aliases else reference.project
        if reference.family:
            family = reference.family
            found = images.find(self.caller, lambda known: known.newest(project, family, self.place.id))
            if found is None:
                raise not_found(f"projects/{project}/global/images/family/{family}")
            return found
        found = images.find(self.caller, lambda known: _image_named(known, project, reference))
        if found is None:
            raise invalid(where, given, "The referenced image resource cannot be found.")
        if self.place.id not in found.zoneids:
            raise invalid(where, given, f"The image is not ready in zone {self.place.name}.")
        return found

    def disk_type(self, given: str, where: str) -> DiskType:
        reference = self._parse(given, "diskTypes", where)
        self._check_zone(reference, given, where)
        found = disk_types.find(self.caller, reference.name, self.place.id)
        if found is None:
            raise invalid(where, given, "The referenced diskType resource cannot be found.")
        return found

    def further(self, disk: Body, instance: str, where: str) -> Extra:
        index, device = int(disk["index"]), _remembered(disk)
        initial = _initial(disk)
        if disk.get("source"):
            if initial:
                raise invalid(f"{where}.initializeParams", "", "It cannot be given together with a source.")
            return self.existing(disk, where, index, device)
        if initial.get("sourceImage"):
            why = "Only the boot disk can be made of an image."
            raise invalid(f"{where}.initializeParams.sourceImage", initial["sourceImage"], why)
        name = initial.get("diskName") or _derived(instance, index)
        checked_name(name, f"{where}.initializeParams.diskName")
        kind = self.disk_type(initial.get("diskType") or volumes.DEFAULT_TYPE, f"{where}.initializeParams.diskType")
        size = initial.get("diskSizeGb") or disk.get("diskSizeGb")
        marks = volumes.marks(
            name=name,
            auto_delete=bool(disk.get("autoDelete")),
            type=_type_mark(kind),
            boot=False,
        )
        return Extra(
            name=name,
            index=index,
            offering=kind.id,
            size_gb=_data_size(kind, size, f"{where}.initializeParams.diskSizeGb"),
            tags=_tags(initial.get("labels") or {}, [], marks, f"{where}.initializeParams.labels"),
            overlay=device,
        )

    def existing(self, disk: Body, where: str, index: int, overlay: dict[str, Any]) -> Extra:
        given = str(disk["source"])
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
        changes = tags.plan_own(
            row.get("tags", ()), {volumes.AUTO_DELETE: volumes.ON if disk.get("autoDelete") else None}
        )
        return Extra(name, index, str(row["id"]), untag=changes.delete, tags=changes.create, overlay=overlay)

    def _used(self, row: Mapping[str, Any], name: str, where: str) -> GceError:
        zone = f"projects/{self.caller.project.id}/zones/{self.place.name}"
        user = volumes.machine_name(row)
        message = f"The disk resource '{zone}/disks/{name}' is already being used by '{zone}/instances/{user}'"
        return GceError("resourceInUseByAnotherResource", message, location=where)

    def _parse(self, given: str, collection: str, where: str) -> Reference:
        return parse(given, collection=collection, project=self.caller.project.id, field=where, zone=self.place.name)

    def _check_zone(self, reference: Reference, given: str, where: str) -> None:
        zone = reference.zone
        if zone is not None and zone not in (self.place.name, self.place.cloudstack_name):
            raise invalid(where, given, f"It must be in the instance's own zone, {self.place.name}.")


def checked_name(name: str | None, where: str = "resource.name") -> str:
    """A name for something new. Raises GceError required or invalid."""
    if not name:
        raise GceError("required", f"Required field '{where}' not specified", location=where)
    if not is_label(name):
        raise invalid(where, name, NAME_RULE)
    return name


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
    if boot[0].get("source"):
        raise invalid("resource.disks[0].source", boot[0]["source"], "Booting from an existing disk is not supported.")
    return boot[0], placed[1:]


def _root_disk(
    image: Image, size: MachineType, kind: DiskType | None, gigabytes: int | None, where: str
) -> dict[str, Any]:
    """What the deployment says about the root disk; nothing where CloudStack's default is what was asked for."""
    least = -(-int(image.row.get("size") or 0) // GIB)
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
        return chosen | {"rootdisksize": gigabytes or least or 1}
    if kind.size_gb < least or gigabytes not in (None, kind.size_gb):
        raise invalid(where, gigabytes or least, f"Disks of type '{kind.name}' have {kind.size_gb} GB.")
    return chosen


def _type_mark(kind: DiskType | None) -> str | None:
    return volumes.type_mark(kind.name, kind.id) if kind is not None and kind.alias else None


def _data_size(kind: DiskType, gigabytes: int | None, where: str) -> int | None:
    if kind.custom_size:
        if not gigabytes:
            raise invalid(where, gigabytes or 0, f"A disk of type '{kind.name}' needs a size.")
        return gigabytes
    if gigabytes not in (None, kind.size_gb):
        raise invalid(where, gigabytes, f"Disks of type '{kind.name}' have {kind.size_gb} GB.")
    return None


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


def _remembered(disk: Body) -> dict[str, Any]:
    """What the overlay keeps of a disk: CloudStack has no place for it."""
    said = {"deviceName": disk.get("deviceName"), "description": _initial(disk).get("description")}
    return {member: value for member, value in said.items() if value}


def network_tags(items: Sequence[str], where: str = "resource.tags.items") -> list[str]:
    """Network tags in order. Raises GceError invalid, naming the field, for those that GCE would refuse."""
    for index, tag in enumerate(items):
        if not is_label(tag):
            raise invalid(f"{where}[{index}]", tag, NAME_RULE)
    if len(set(items)) != len(items):
        twice = next(tag for tag in items if items.count(tag) > 1)
        raise invalid(where, twice, "Tags must be unique.")
    if len(items) > MOST_NETWORK_TAGS:
        raise invalid(where, len(items), f"At most {MOST_NETWORK_TAGS} tags are allowed.")
    return sorted(items)


def _tags(labels: Mapping[str, str], network_tags: list[str], own: dict[str, str], where: str) -> list[dict[str, str]]:
    return tags.join(
        tags.plan_labels((), labels, where), tags.plan_network_tags((), network_tags), tags.plan_own((), own)
    ).create


def _image_named(known: images.Images, project: str, reference: Reference) -> Image | None:
    found = known.get(project, reference.name)
    if found is None and reference.unique_id is not None:
        return next((image for image in known.listed(project) if numeric_id(image.id) == reference.unique_id), None)
    return found
