"""CloudStack's volumes under the names and states of GCE's disks.

Apart because disks, instances, snapshots and operations must agree on both. A boot disk bears its instance's name, as
in GCE, unless gstack marked it with another; other volumes bear their own. The surprising thing: when names clash,
marked volumes come first, then boot disks, then the rest by age, so that an instance knows the names of its disks
without looking at everybody else's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError, invalid, not_found, not_ready
from gstack.translate import machines, places, tags
from gstack.translate.caller import Caller
from gstack.translate.names import called, gce_names, is_label, label
from gstack.translate.places import Place

Row = Mapping[str, Any]

KIND = "disks"  # GCE's collection, and the store's kind of what is remembered of volumes
# gstack's marks on volumes; each is there only where it says something else than CloudStack does by itself.
NAME, TYPE, AUTO_DELETE = "name", "disk-type", "auto-delete"
SNAPSHOT, DISK = "source-snapshot", "source-disk"
ON, OFF = "true", "false"
SETTLED = frozenset({"Ready", "Allocated", "UploadError", "UploadAbandoned"})  # nothing is being done with it
GONE = frozenset({"Destroy", "Destroyed", "Expunging", "Expunged"})
DEFAULT_TYPE = "pd-standard"
GIB = 2**30
FEW = 100  # volumes of a zone: about 100 kB, which cost less than the second call that they save
_MANY_FOR, _MOST_MANY = 600.0, 4096  # seconds; entries
_many: dict[tuple[str, str], float] = {}  # the projects and zones that have more, and until when that is believed

_STATES = {
    "Creating": "CREATING",
    "NotUploaded": "CREATING",
    "UploadInProgress": "CREATING",
    "Copying": "CREATING",
    "UploadError": "FAILED",
    "UploadAbandoned": "FAILED",
    "UploadOp": "CREATING",
    "RevertSnapshotting": "RESTORING",
}


def visible(rows: Iterable[Row]) -> list[Row]:
    """The volumes that GCE would still show: those of a destroyed machine wait for their end only, and that of a
    carrier is not made yet."""
    return [
        row
        for row in rows
        if row.get("state") not in GONE
        and row.get("vmstate") not in machines.GONE
        and not machines.is_carrier(row.get("vmdisplayname"))
    ]


def awaited_template(row: Row) -> str | None:
    """The template that a volume without storage is to be filled of at its first use. A data disk that is attached to
    a machine with storage is filled of the template of *that* machine (VolumeOrchestrator.createVolume), whatever its
    own is: whoever attaches one sees that both are the same."""
    return str(row["templateid"]) if row.get("state") == "Allocated" and row.get("templateid") else None


def status(row: Row) -> str:
    """GCE's status of a disk."""
    return _STATES.get(str(row.get("state")), "READY")


def is_boot(row: Row) -> bool:
    """Whether a volume is the boot disk of a machine that is there."""
    return row.get("type") == "ROOT" and "virtualmachineid" in row


def in_order(rows: Iterable[Row]) -> list[Row]:
    """The volumes of one machine as GCE lists them: the boot disk, then the others by their place on the bus."""
    return sorted(rows, key=lambda row: (not is_boot(row), int(row.get("deviceid") or 0)))


def device_name(kept: Mapping[str, Any], index: int) -> str:
    """GCE's name of a disk within its instance: the one it was given (``kept`` is the disk's overlay), or its place."""
    return str(kept.get("deviceName") or f"persistent-disk-{index}")


def size_gb(row: Row) -> int:
    """The size in GiB, rounded up, at least 1: CloudStack does not know the size of a template that is still on its
    way."""
    return gib(row.get("size"))


def gib(size: object) -> int:
    """A size in bytes, as CloudStack says it, in GiB: rounded up, at least 1."""
    return max(1, -(-int(str(size or 0)) // GIB))


def auto_delete(row: Row) -> bool:
    """Whether the volume goes with its instance: a boot disk does unless it is marked, another does only then."""
    marked = tags.own_values(row.get("tags", ())).get(AUTO_DELETE)
    return row.get("type") == "ROOT" if marked is None else marked == ON


def marked_name(row: Row) -> str | None:
    """The name that gstack marked the volume with."""
    return tags.own_values(row.get("tags", ())).get(NAME)


def type_mark(name: str, offering_id: str) -> str:
    """The mark for a disk type that the offering is not called."""
    return f"{name}:{offering_id[:8]}"


def marked_type(row: Row) -> str | None:
    """The disk type that a volume was asked for, unless its offering was changed since. A root volume that has its
    machine's storage shows no offering of its own."""
    name, _, offering = tags.own_values(row.get("tags", ())).get(TYPE, "").partition(":")
    now = str(row.get("diskofferingid", ""))[:8]
    return name if name and now in ("", offering) else None


def source_mark(name: str, source_id: str) -> str:
    """The mark for the snapshot or disk that a volume is made of: CloudStack forgets it."""
    return f"{name}:{source_id}"


def marked_source(row: Row, mark: str) -> tuple[str, str] | None:
    """GCE's name and CloudStack's id of what a volume was made of; ``mark`` is ``SNAPSHOT`` or ``DISK``."""
    name, _, identity = tags.own_values(row.get("tags", ())).get(mark, "").partition(":")
    return (name, identity) if name and identity else None


def marks(
    *, name: str | None = None, auto_delete: bool | None = None, type: str | None = None, boot: bool
) -> dict[str, str]:
    """gstack's marks for a volume; what is as CloudStack has it anyway is left out."""
    found = {}
    if name is not None:
        found[NAME] = name
    if auto_delete is not None and auto_delete != boot:
        found[AUTO_DELETE] = ON if auto_delete else OFF
    if type is not None:
        found[TYPE] = type
    return found


def gce_names_of(rows: Iterable[Row], machine_names: Mapping[str, str] | None = None) -> dict[str, str]:
    """The GCE name of every volume, by CloudStack id. ``rows`` are those of one zone; ``machine_names`` are GCE's names
    of machines by CloudStack id, made out from the rows where they are not given."""
    rows = list(rows)
    known = dict(machine_names or {})
    if any(is_boot(row) and row["virtualmachineid"] not in known for row in rows):
        known = machine_names_of(rows) | known

    def name(row: Row) -> str:
        return marked_name(row) or (known[row["virtualmachineid"]] if is_boot(row) else str(row["name"]))

    return gce_names(rows, name, "id", _seniority)


def machine_names_of(rows: Iterable[Row]) -> dict[str, str]:
    """GCE's names of the machines that boot from ``rows``, by CloudStack id: a volume's row has the machine's names."""
    return machines.gce_names_of(_machine(row) for row in rows if is_boot(row))


def machine_name(row: Row) -> str:
    """GCE's name of the machine that a volume is attached to, as far as its own row tells."""
    return label(machines.wanted_name(_machine(row)))


def _machine(row: Row) -> Row:
    names = {"name": row.get("vmname", ""), "displayname": row.get("vmdisplayname", "")}
    return {"id": row["virtualmachineid"], "created": row.get("created"), **names}


def names_are_certain(rows: Iterable[Row]) -> bool:
    """Whether the names of these volumes can be told without knowing the others of the zone."""
    return all(_rank(row) < _NATURAL for row in rows)


def find(cloud: Cloud, zoneid: str, name: str, *, thorough: bool = True) -> tuple[str, Row] | None:
    """The volume that is the disk of that GCE name, or numeric id, in a CloudStack zone, and its name.

    One call where the project has few volumes in the zone, and so everywhere but in large projects. In those, one for a
    name that is a mark, which comes before all others; two more, side by side, for a volume's or a machine's own, and
    then one for the volumes of the machine. ``thorough``: else all volumes of the zone are looked at, for names that
    the codec made; whoever is not thorough expects no such disk, and asks all three questions at once.
    """
    if not (name.isdigit() or is_label(name)):
        return None
    all_of_few = _all_if_few(cloud, zoneid)
    if all_of_few is not None:
        return _named(visible(all_of_few), name)
    mark, others = _of_mark(zoneid, name), _of_volume_or_machine(zoneid, name)
    if not name.isdigit():
        if not thorough:
            return _named(_candidates(cloud, *cloud.together(mark, *others)), name)
        marked = cloud.list(mark[0], **mark[1])
        found = _named(visible(marked), name) or _named(_candidates(cloud, marked, *cloud.together(*others)), name)
        if found is not None:
            return found
    return _named(visible(cloud.list("listVolumes", zoneid=zoneid)), name)


def located(caller: Caller, zone: str, wanted: str) -> tuple[Place, str, Row]:
    """The zone and the disk of a URL, or GCE's 404."""
    place = places.require_zone(caller, zone)
    found = find(caller.cloud, place.id, wanted)
    if found is None:
        raise not_found(path(caller.project.id, place, wanted))
    return place, *found


def path(project: str, place: Place, name: str) -> str:
    """The link of a disk, from ``projects/`` on."""
    return f"projects/{project}/zones/{place.name}/disks/{name}"


def without_storage(disk: str, where: str | None = None) -> GceError:
    """That a disk holds nothing yet that could be kept; ``disk`` is its link, ``where`` the field that asks for it."""
    message = f"The disk '{disk}' has never been attached to an instance: CloudStack has given it no storage yet."
    return GceError("failedPrecondition", message, location=where)


def require_storage(row: Row, disk: str, where: str | None = None) -> None:
    """See that a volume has its storage and is at rest; as of :func:`without_storage`. Raises GceError."""
    if row["state"] == "Allocated":
        raise without_storage(disk, where)
    if row["state"] != "Ready":
        raise not_ready(disk)


def referenced(caller: Caller, given: str, where: str, alias: str) -> tuple[Place, str, Row]:
    """The disk that a client named in field ``where``, with its zone and name. ``alias`` is the project as the client
    wrote it. Raises GceError."""
    reference = caller.refer(given, collection="disks", field=where)
    if reference.zone is None:
        raise invalid(where, given, "It must name a disk with its zone.")
    if reference.project not in (alias, caller.project.id):
        raise invalid(where, given, "The disk belongs to another project.")
    return located(caller, reference.zone, reference.name)


def _all_if_few(cloud: Cloud, zoneid: str) -> list[Row] | None:
    """The volumes of a zone if they are few, by one call; None if they are not, which is believed for a while."""
    key = (cloud.key, zoneid)
    if _many.get(key, 0.0) > time.monotonic():
        return None
    answer = cloud.call("listVolumes", zoneid=zoneid, page=1, pagesize=FEW)
    rows: list[Row] = answer.get("volume", [])
    if int(answer.get("count", 0)) <= len(rows):
        return rows
    if len(_many) >= _MOST_MANY:
        _many.clear()
    _many[key] = time.monotonic() + _MANY_FOR
    return None


def _of_mark(zoneid: str, name: str) -> tuple[str, dict[str, Any]]:
    return "listVolumes", {"zoneid": zoneid, "tags": [{"key": tags.OWN + NAME, "value": name}]}


def _of_volume_or_machine(zoneid: str, name: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    return (
        ("listVolumes", {"zoneid": zoneid, "name": name}),
        ("listVirtualMachines", {"zoneid": zoneid, "name": name, "details": ["min"]}),
    )


def _candidates(cloud: Cloud, marked: Iterable[Row], own: Iterable[Row], hosts: Iterable[Row]) -> list[Row]:
    roots: list[Row] = []
    for host in machines.visible(hosts):
        roots += cloud.list("listVolumes", virtualmachineid=host["id"], type="ROOT")
    rows = {row["id"]: row for row in [*marked, *own, *roots]}
    return visible(rows.values())


def _named(rows: list[Row], wanted: str) -> tuple[str, Row] | None:
    return called(rows, gce_names_of, wanted)


_MARKED, _BOOT, _NATURAL, _OTHER = range(4)


def _rank(row: Row) -> int:
    if marked_name(row) is not None:
        return _MARKED
    if is_boot(row):
        return _BOOT
    return _NATURAL if is_label(str(row["name"])) else _OTHER


def _seniority(row: Row) -> str:
    """The date by which clashes are decided: that of creation, put off by two thousand years for each rank."""
    created = str(row.get("created") or "")
    return f"{2 + 2 * _rank(row)}{created[1:]}" if created else created
