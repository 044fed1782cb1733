"""disks: CloudStack's volumes, boot disks and others, attached or not.

A boot disk bears its instance's name, as in GCE, or the one it was asked for (a mark on the volume). Volumes of
destroyed machines are hidden. Visible differences: a disk's type is its disk offering; a boot disk that lies on the
storage of its machine's offering shows ``pd-standard``; disks are made empty, of snapshots, disks and
images, and of a data disk or its snapshot always with that disk's type; a copy of a disk takes a snapshot that is
deleted at once, and is seen until then; a disk that was never attached has no snapshots and no schedule, because
CloudStack gives it storage at its first attachment; one made of an image has its first with an instance of it. Upstream
calls: one for a get where the project has few volumes in the zone; else one by a name that gstack gave, two more in one
round for another tool's disk, and a fourth for a boot disk that is called as its instance; one for a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from gstack.errors import GceError, already_exists, in_use, invalid, not_ready, required
from gstack.operations import engine, labels
from gstack.operations import snapshots as taking
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape, listing
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import (
    disk_types,
    images,
    new_disks,
    places,
    reasons,
    schedules,
    scopes,
    snapshots,
    tags,
    volumes,
    zone_reads,
)
from gstack.translate.caller import Caller
from gstack.translate.names import checked_name
from gstack.translate.new_disks import Fields, Wish
from gstack.translate.places import Place
from gstack.translate.times import rfc3339

Row = Mapping[str, Any]

READS = ("listVolumes", "listVirtualMachines")
TAGS = ("createTags", "deleteTags", "listTags")

# What is the same of every disk, and shown to those who said it.
SAID = ("accessMode", "architecture")
BODY = Policy(
    honoured=("name", "sizeGb", "type", "labels", "sourceSnapshot", "sourceDisk", "sourceImage", "resourcePolicies"),
    # A fingerprint is the proof that a client read something first, which for an insert there is not.
    remembered=("description", "labelFingerprint", *SAID),
    only={
        "physicalBlockSizeBytes": (4096,),
        "accessMode": ("READ_WRITE_SINGLE",),
        "architecture": ("X86_64", "ARCHITECTURE_UNSPECIFIED"),
    },
    refused={
        "asyncPrimaryDisk": reasons.ONE_ZONE,
        "diskEncryptionKey": reasons.ENCRYPTION,
        "enableConfidentialCompute": reasons.ENCRYPTION,
        "guestOsFeatures": reasons.HARDWARE,
        "licenseCodes": reasons.LICENSES,
        "licenses": reasons.LICENSES,
        "locationHint": reasons.STORAGE,
        "options": "There are no options.",
        "params": reasons.RESOURCE_MANAGER_TAGS,
        "provisionedIops": reasons.SPEED,
        "provisionedThroughput": reasons.SPEED,
        "replicaZones": reasons.ONE_ZONE,
        "sourceImageEncryptionKey": reasons.ENCRYPTION,
        "sourceInstantSnapshot": reasons.INSTANT_SNAPSHOTS,
        "sourceMachineImage": reasons.MACHINE_IMAGES,
        "sourceMachineImageDiskDeviceName": reasons.MACHINE_IMAGES,
        "sourceMachineImageEncryptionKey": reasons.ENCRYPTION,
        "sourceSnapshotEncryptionKey": reasons.ENCRYPTION,
        "sourceStorageObject": "CloudStack reads no disks from storage buckets.",
        "storagePool": reasons.STORAGE_POOL,
    },
)
SNAPSHOT = Policy(
    honoured=("name", "labels", "sourceDisk", "storageLocations"),
    remembered=("description", "labelFingerprint", "snapshotType"),
    only={"snapshotType": ("STANDARD",)},
    refused=snapshots.REFUSED,
)
LABELS = Policy(honoured=("labels", "labelFingerprint"))
FIELDS = Fields("resource.sizeGb", "resource.type", "resource.sourceSnapshot", "resource.labels")
SIZE = Policy(honoured=("sizeGb",))

for _verb in ("startAsyncReplication", "stopAsyncReplication", "stopGroupAsyncReplication"):
    refused(f"compute.disks.{_verb}", "CloudStack keeps a disk in one zone and replicates none.")
refused("compute.disks.updateKmsKey", reasons.ENCRYPTION)


@method("compute.disks.get", needs=READS)
def get(call: Call) -> dict[str, Any]:
    """One disk, by name or number."""
    _, name, row = _found(call, call.params["disk"])
    return Views(call, [row], {row["id"]: name}).view(row)


@method("compute.disks.list", needs=("listVolumes",))
def list_(call: Call) -> dict[str, Any]:
    """The disks of one zone."""
    place = places.require_zone(call.caller, call.params["zone"])
    views = Views(call, call.caller.cloud.list("listVolumes", zoneid=place.id))
    return listing(call, views.rows, views.shape)


@method("compute.disks.aggregatedList", needs=("listVolumes",))
def aggregated_list(call: Call) -> dict[str, Any]:
    """The disks of all zones."""
    read = zone_reads.of_all_zones(call, ("listVolumes", {}))
    views = Views(call, read.rows[0])
    return scopes.aggregated_in(call, ("zones",), read.scopes(views.rows, views.place), volumes.KIND, views.shape)


@method("compute.disks.insert", needs=(*READS, "createVolume", *TAGS), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Make an empty disk, one of a snapshot or an image, or a copy of a disk."""
    place = places.require_zone(call.caller, call.params["zone"])
    name = checked_name(call.body.get("name"))
    given = call.body.get("type")
    kind = disk_types.referenced(call.caller, given or volumes.DEFAULT_TYPE, FIELDS.type, place)
    path = _path(call, place, name)
    plan = _planned(
        call, place, Wish(name, kind, given, call.body.get("sizeGb"), call.body.get("labels") or {}, FIELDS)
    )
    if volumes.find(call.caller.cloud, place.id, name, thorough=False) is not None:
        raise already_exists(path)
    kept = {member: call.body[member] for member in ("description", *SAID) if call.body.get(member)}
    plan |= {"overlay": kept, "schedule": _schedule(call, place, path, plan)}
    return engine.start(call, "op.disks.insert", type="insert", target=path, plan=plan, claim=path)


@method("compute.disks.delete", needs=(*READS, "deleteVolume"))
def delete(call: Call) -> dict[str, Any]:
    """Delete a disk that no instance uses."""
    place, name, row = _found(call, call.params["disk"])
    path = _path(call, place, name)
    if "virtualmachineid" in row:
        user = f"projects/{call.project}/zones/{place.name}/instances/{volumes.machine_name(row)}"
        raise in_use(path, f"'{user}'")
    return _start(call, "delete", path, row)


@method("compute.disks.resize", needs=(*READS, "resizeVolume"), body=SIZE)
def resize(call: Call) -> dict[str, Any]:
    """Make a disk larger."""
    place, name, row = _found(call, call.params["disk"])
    wanted, now = call.body.get("sizeGb"), volumes.size_gb(row)
    if wanted is None:
        raise required("sizeGb")
    if wanted <= now:
        raise invalid("sizeGb", wanted, f"New disk size '{wanted}' must be larger than existing size '{now}'.")
    return _start(call, "resize", _path(call, place, name), row, size_gb=wanted)


@method("compute.disks.setLabels", needs=(*READS, *TAGS), body=LABELS)
def set_labels(call: Call) -> dict[str, Any]:
    """Put labels in the place of those that a client has seen."""
    place, name, row = _found(call, call.params["resource"])
    return labels.start(call, "Volume", row, _path(call, place, name))


@method("compute.disks.createSnapshot", needs=(*READS, "createSnapshot", "listSnapshots"), body=SNAPSHOT)
def create_snapshot(call: Call) -> dict[str, Any]:
    """Take a snapshot of a disk."""
    if call.params.get("guestFlush"):
        message = f"The parameter 'guestFlush' is refused: {snapshots.REFUSED['guestFlush']}"
        raise GceError("unsupported", message, location="guestFlush")
    place, name, row = _found(call, call.params["disk"])
    said, where = call.body.get("sourceDisk"), "resource.sourceDisk"
    # Terraform names the disk a second time in the body, and so does Ansible, by its bare name.
    if said and said != name and volumes.referenced(call.caller, said, where, call.project)[2]["id"] != row["id"]:
        raise invalid(where, said, f"The URL names another disk, {name}.")
    return taking.begin(call, place, _path(call, place, name), row, sub_action=True)


def _start(call: Call, verb: str, path: str, row: Row, **more: Any) -> dict[str, Any]:
    if row["state"] not in volumes.SETTLED:
        raise not_ready(path)
    plan = {"volume": row["id"], **more}
    return engine.start(call, f"op.disks.{verb}", type=verb, target=path, target_id=numeric_id(row["id"]), plan=plan)


def _found(call: Call, wanted: str) -> tuple[Place, str, Row]:
    return volumes.located(call.caller, call.params["zone"], wanted)


def _path(call: Call, place: Place, name: str) -> str:
    return volumes.path(call.project, place, name)


def _schedule(call: Call, place: Place, path: str, plan: Row) -> dict[str, Any] | None:
    """The snapshot schedule that the disk of ``plan`` is to have, as workflows take it. Raises GceError."""
    given, alias, where = call.body.get("resourcePolicies") or [], call.params["project"], "resource.resourcePolicies"
    found = schedules.of_disk(call.caller, given, where, region=place.region, alias=alias)
    stored = "snapshotid" in plan["create"] or "copy_of" in plan  # else CloudStack gives it its storage later
    if found is not None and not stored:
        raise volumes.without_storage(path, where)
    return found


def _planned(call: Call, place: Place, wish: Wish) -> dict[str, Any]:
    given = {member: call.body.get(member) for member in SOURCES}
    # The parameter is the older way to name an image, the one of gcutil.
    given["sourceImage"] = given["sourceImage"] or call.params.get("sourceImage")
    said = {member: text for member, text in given.items() if text}
    if len(said) > 1:
        member, text = list(said.items())[-1]
        raise invalid(f"resource.{member}", text, f"A disk is made of one of {', '.join(SOURCES)}.")
    alias = call.params["project"]
    for member, source in said.items():
        return SOURCES[member](call.caller, place, source, wish, alias=alias)
    return new_disks.empty(place, wish)


def _of_image(caller: Caller, place: Place, given: str, wish: Wish, *, alias: str) -> dict[str, Any]:
    image = images.referenced(caller, given, wish.fields.image, alias, place.id)
    return new_disks.of_image(caller, place, image, wish, alias=alias)


SOURCES = {"sourceSnapshot": new_disks.of_snapshot, "sourceDisk": new_disks.of_disk, "sourceImage": _of_image}


def _created(row: Row) -> str | None:
    return rfc3339(row.get("created"))


class Views:
    """Volumes as disks. What many rows share is looked up once."""

    def __init__(self, call: Call, rows: Iterable[Row], names: Mapping[str, str] | None = None) -> None:
        self.rows = volumes.visible(rows)
        self.places = places.of_caller(call.caller)
        self._caller = call.caller
        self._base = call.links.project(call.project)
        self._links = call.links
        self._kept = overlay.Remembered(volumes.KIND)
        self._names: dict[str, str] = {}
        self._machines: dict[str, str] = {}
        for found in places.by_zone(self.rows).values():
            self._machines |= volumes.machine_names_of(found)
            self._names |= volumes.gce_names_of(found)
        self._names |= names or {}

    @cached_property
    def _images(self) -> images.Images:
        return images.of_caller(self._caller)

    @cached_property
    def _types(self) -> disk_types.DiskTypes:
        return disk_types.of_caller(self._caller)

    def name(self, row: Row) -> str:
        """The disk's name."""
        return self._names[row["id"]]

    def place(self, row: Row) -> Place:
        """The volume's zone."""
        return self.places.shown(row)

    @property
    def shape(self) -> Shape[Row]:
        """How lists read them."""
        return Shape(self.view, self.name, _created, prepare=self.prepare)

    def prepare(self, rows: Sequence[Row]) -> None:
        """Read what is remembered of the rows that are about to be shown."""
        self._kept.prepare(row["id"] for row in rows)

    def view(self, row: Row) -> dict[str, Any]:
        """A disk."""
        name, zone = self.name(row), f"{self._base}/zones/{self.place(row).name}"
        kept = self._kept.of(row["id"])
        shown = tags.labels(row.get("tags") or ())
        template, schedule = row.get("templateid"), schedules.of_volume(row)
        snapshot, snapshot_id = volumes.marked_source(row, volumes.SNAPSHOT) or (None, None)
        disk, disk_id = volumes.marked_source(row, volumes.DISK) or (None, None)
        return render(
            "disk",
            id=str(numeric_id(row["id"])),
            creation_timestamp=rfc3339(row.get("created")),
            name=name,
            description=kept.get("description"),
            access_mode=kept.get("accessMode"),
            architecture=kept.get("architecture"),
            size_gb=volumes.size_gb(row),
            zone=zone,
            status=volumes.status(row),
            source_image=self._image_link(template),
            source_image_id=str(numeric_id(template)) if template else None,
            source_snapshot=f"{self._base}/global/snapshots/{snapshot}" if snapshot else None,
            source_snapshot_id=str(numeric_id(snapshot_id)) if snapshot_id else None,
            source_disk=f"{zone}/disks/{disk}" if disk else None,
            source_disk_id=str(numeric_id(disk_id)) if disk_id else None,
            self_link=f"{zone}/disks/{name}",
            type=f"{zone}/diskTypes/{self._types.of_volume(row)}",
            last_attach_timestamp=rfc3339(row.get("attached")),
            users=[f"{zone}/instances/{self._user(row)}"] if "virtualmachineid" in row else None,
            resource_policies=[f"{self._base}/{schedule.path}"] if schedule else None,
            labels=shown or None,
            label_fingerprint=fingerprint(shown),
        )

    def _image_link(self, templateid: str | None) -> str | None:
        image = self._images.of_template(templateid) if templateid else None
        return self._links.absolute(f"projects/{image.project}/global/images/{image.name}") if image else None

    def _user(self, row: Row) -> str:
        """The instance's name. A data volume's row has the names of its machine as well."""
        known = self._machines.get(row["virtualmachineid"])
        return known or volumes.machine_name(row)
