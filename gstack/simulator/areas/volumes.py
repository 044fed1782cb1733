"""Volumes: made, attached, detached, grown, deleted.

Apart, because a volume lives longer than its machine. Surprising: creating is checked at once while
attaching, detaching and resizing are checked in the job, deleting is no job at all, and a root volume's
offering id is a number in a string.
"""

from __future__ import annotations

from .. import errors, limits
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_id, select, visible_accounts
from ..model import Machine, Record, Row, Snapshot, Volume
from ..registry import command
from ..world import date
from . import volume_sizes

GIB = limits.GIB
ROOT_DEVICE = 0
CD_DEVICE = 3
ATTACHED = "Please specify a volume that is not attached to any VM."


def described(volume: Volume, machine: Machine | None) -> str:
    number = "null" if machine is None else machine.number
    return (
        f'Volume {{"id":{volume.number},"instanceId":{number},"name":"{volume.name}","uuid":"{volume.id}",'
        f'"volumeType":"{volume.type}"}}'
    )


def view(call: Call, volume: Volume) -> Row:
    world = call.world
    zone, machine = world.zone[volume.zone], world.machine.get(volume.machine)
    row: Row = {
        "id": volume.id,
        "name": volume.name,
        "zoneid": zone.id,
        "zonename": zone.name,
        "type": volume.type,
    }
    lost = machine is not None and volume.state == "Destroy" and machine.state != "Destroyed"
    if machine is not None:
        row["deviceid"] = volume.deviceid
    if machine is not None and not lost:
        row["virtualmachineid"] = machine.id
    template = world.template.get(volume.template)
    if template is not None:
        row.update(
            templateid=template.id,
            templatename=template.name,
            templatedisplaytext=template.row["displaytext"],
        )
    if machine is not None and lost:
        row["vmtype"] = "User"
    elif machine is not None:
        row.update(vmname=machine.name, vmdisplayname=machine.displayname, vmstate=machine.state, vmtype="User")
    row.update(provisioningtype="thin", size=volume.size, created=date(volume.created), state=volume.state)
    row.update(world.owner(volume.account))
    if volume.pool and machine is not None and not lost:
        row.update(diskkbsread=0, diskkbswrite=0, diskioread=0, diskiowrite=0)
    disk = world.disk_offering.get(volume.disk_offering)
    if disk is not None:
        text = disk.row["displaytext"]
        row.update(diskofferingid=disk.id, diskofferingname=disk.name, diskofferingdisplaytext=text)
    if volume.attached is not None:
        row["attached"] = date(volume.attached)
    row["destroyed"] = volume.state == "Destroy"
    offering = world.service_offering.get(volume.service_offering)
    if offering is not None:
        # CloudStack answers its internal number here, as a string.
        row.update(serviceofferingid=str(offering.number), serviceofferingname=offering.name)
        row["serviceofferingdisplaytext"] = offering.row["displaytext"]
    row.update(isextractable=volume.type != "ROOT", quiescevm=False, supportsstoragesnapshot=False)
    row.update(deleteprotection=False, tags=world.tag_rows(volume.id), hasannotations=False)
    return call.mark(row, volume.id)


FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "zoneid": same_id("zone"),
    "virtualmachineid": same_id("machine"),
    "diskofferingid": same_id("disk_offering"),
    "serviceofferingid": same_id("service_offering"),
    "isencrypted": lambda volume, wanted: wanted is False,
    "type": lambda volume, wanted: volume.type.lower() == str(wanted).lower(),
    "state": lambda volume, wanted: volume.state.lower() == str(wanted).lower(),
}


@command("listVolumes", "volume")
def list_volumes(call: Call) -> Row:
    if not call.args.get("ids"):
        call.args.pop("ids", None)
    check_page(call)
    mine = visible_accounts(call)
    rows = select(call, [v for v in call.world.volume if mine(v.account)], FILTERS, lambda v: (v.name, v.type))
    if call.flag("retrieveonlyresourcecount"):
        return {"count": len(rows)}
    return page(call, "volume", rows, lambda volume: view(call, volume))


def new_size(call: Call, offering: Record) -> int:
    size = call.number("size")
    if not offering.row["iscustomized"]:
        if size is not None:
            raise invalid("This disk offering does not allow custom size")
        return volume_sizes.checked(call, int(str(offering.row["disksize"])) * GIB)
    if size is None:
        raise invalid("This disk offering requires a custom size specified")
    if size <= 0:
        raise invalid("Disk size must be larger than 0")
    volume_sizes.check_custom(call, size)
    return volume_sizes.checked(call, size * GIB)


@command("createVolume")
def create(call: Call) -> Row:
    offering, snapshot = call.entity("diskofferingid", Record), call.entity("snapshotid", Snapshot)
    if offering is None and snapshot is None:
        raise invalid("At least one of disk Offering ID or snapshot ID must be passed whilst creating volume")
    owner, world = call.owner(), call.world
    volume = Volume(world.uuid(), 0, call.text("name") or "", owner.id, "", "DATADISK", 0, world.now())
    machine = call.entity("virtualmachineid", Machine)
    if snapshot is not None:
        from_snapshot(call, volume, snapshot, offering)
    else:
        assert offering is not None
        zone = call.entity("zoneid", Record)
        if zone is None:
            raise invalid("Unable to find zone by id null")
        volume.zone, volume.disk_offering, volume.size = zone.id, offering.id, new_size(call, offering)
    limits.check(world, owner, {"volume": 1, "primary_storage": volume.size})
    volume.number = world.volume.take_number()
    volume.name = volume.name or world.uuid()
    world.volume.add(volume)

    def work() -> Steps:
        yield 0.1
        if snapshot is not None:
            volume.state, volume.pool = "Ready", True
        if machine is not None:
            check_attach(call, volume, machine, None)
            put(call, volume, machine, None)
        row = view(call, volume)
        if snapshot is not None:
            row["snapshotid"] = snapshot.id  # told here only: no list and no later job says it again
        return {"volume": row}

    return {"id": volume.id, "jobid": call.submit(work, volume).id}


def from_snapshot(call: Call, volume: Volume, snapshot: Snapshot, offering: Record | None) -> None:
    """The volume takes offering and size of the snapshot's origin, and ignores a `size` in the call; only of
    a root volume's snapshot, and with an offering, is there a choice.
    """
    call.check_access(snapshot)
    if snapshot.state != "BackedUp":
        raise invalid(f"Snapshot id={snapshot.id} is not in BackedUp state yet and can't be used for volume creation")
    if offering is not None and snapshot.volume_type != "ROOT":
        raise invalid(
            "Disk Offering ID cannot be passed whilst creating volume from snapshot other than ROOT disk snapshots"
        )
    asked = call.entity("zoneid", Record)
    volume.zone = asked.id if asked is not None and asked.id in snapshot.copies else snapshot.zone
    volume.size = snapshot.size
    if offering is not None:
        volume.size = new_size(call, offering)
        if volume.size < snapshot.size:
            sizes = f"{volume.size // GIB}GB, snapshot size is: {snapshot.size // GIB}GB"
            raise invalid(f"Invalid size for volume creation: {sizes}")
    volume.template = snapshot.template
    volume.disk_offering = offering.id if offering is not None else snapshot.disk_offering
    volume.service_offering = None if offering is not None else snapshot.service_offering


def check_attach(call: Call, volume: Volume, machine: Machine, device: int | None) -> None:
    if volume.machine is not None:
        raise invalid(ATTACHED)
    if volume.zone != machine.zone:
        raise invalid("Please specify a VM that is in the same zone as the volume.")
    if machine.state not in ("Running", "Stopped"):
        raise invalid("Please specify a VM that is either running or stopped.")
    if device == ROOT_DEVICE:
        if machine.state != "Stopped":
            raise invalid("Root volume detach can happen only when vm is in states: Stopped or Destroyed")
        if any(v.machine == machine.id and v.deviceid == ROOT_DEVICE for v in call.world.volume):
            raise invalid("Vm already has root volume attached to it")
    held = [v.deviceid for v in call.world.volume if v.machine == machine.id and v.type != "ROOT"]
    top = int(call.simulator.settings.number("max.data.disks"))
    if len(held) >= top:
        raise invalid(
            f"The specified VM already has the maximum number of data disks ({top}) attached. Please"
            f" specify another VM."
        )
    if device is not None and device in held:
        raise invalid(f"deviceId {device} is used by vm {machine.id}")


def put(call: Call, volume: Volume, machine: Machine, device: int | None) -> None:
    held = {v.deviceid for v in call.world.volume if v.machine == machine.id}
    free = (n for n in range(1, 100) if n != CD_DEVICE and n not in held)
    volume.deviceid = device if device is not None else next(free)
    volume.machine, volume.attached = machine.id, call.world.now()
    if volume.state == "Allocated" and ("deployvm" not in machine.details or zone_wide(call, machine.zone)):
        # Only a first start finds a host, and with it storage that is not for the whole zone; where there is none a
        # volume stays as it is: VolumeApiServiceImpl.createVolumeOnPrimaryForAttachIfNeeded. What it is filled of
        # is the machine's template: VolumeOrchestrator.createVolumeOnPrimaryStorage.
        volume.content = machine.template if volume.template else None
        volume.state, volume.pool = "Ready", True
    if volume.deviceid == ROOT_DEVICE:
        volume.type = "ROOT"
        call.simulator.roots[machine.id] = volume.id


def zone_wide(call: Call, zone: str) -> bool:
    """Whether the zone has storage that belongs to none of its clusters."""
    return any(pool.row["zoneid"] == zone and pool.row["scope"] == "ZONE" for pool in call.world.storage_pool)


@command("attachVolume", "volume")
def attach(call: Call) -> Row:
    volume, machine = call.need("id", Volume), call.need("virtualmachineid", Machine)
    device = call.number("deviceid")

    def work() -> Steps:
        check_attach(call, volume, machine, device)
        before, volume.state = volume.state, "Attaching" if volume.pool else "Creating"
        yield 0.4
        volume.state = before
        check_attach(call, volume, machine, device)
        put(call, volume, machine, device)
        return {"volume": view(call, volume)}

    return call.later(work, volume, key=machine.id)


@command("detachVolume", "volume")
def detach(call: Call) -> Row:
    volume = call.entity("id", Volume)
    if volume is None:
        return call.later(broken_detach)

    def work() -> Steps:
        if not call.reaches(volume):
            raise ApiError(530, errors.denied().text)
        machine = call.world.machine.get(volume.machine)
        if machine is None:
            raise invalid("The specified volume is not attached to a VM.")
        if volume.type == "ROOT" and machine.state not in ("Stopped", "Destroyed"):
            raise invalid("Root volume detach can happen only when vm is in states: Stopped or Destroyed")
        yield 0.3
        volume.machine = volume.deviceid = volume.attached = None
        if volume.type == "ROOT":  # VolumeDaoImpl.detachVolume
            volume.type = "DATADISK"
            call.simulator.roots.pop(machine.id, None)
        return {"volume": view(call, volume)}

    return call.later(work, volume, key=volume.machine)


def broken_detach() -> Steps:
    """Detaching by machine and device number does not work in 4.22."""
    raise ApiError(530, 'Cannot invoke "java.lang.Long.longValue()" because "volumeId" is null')
    yield 0.0


@command("deleteVolume", "volume")
def delete(call: Call) -> Row:
    volume = call.need("id", Volume)
    if volume.machine is not None:
        raise invalid(ATTACHED)
    if volume.state == "Snapshotting":
        raise invalid("Please specify a volume that is not in Snapshotting state.")
    forget(call, volume)
    return {"success": True}


def forget(call: Call, volume: Volume) -> None:
    """Takes a volume away with its tags and the policies that would have taken snapshots of it."""
    world = call.world
    world.volume.remove(volume)
    world.tags.pop(volume.id, None)
    for policy in [policy for policy in world.snapshot_policy if policy.volume == volume.id]:
        world.snapshot_policy.remove(policy, leave_trace=False)
        world.tags.pop(policy.id, None)


@command("resizeVolume", "volume")
def resize(call: Call) -> Row:
    volume = call.need("id", Volume)
    offering = call.entity("diskofferingid", Record)
    size, shrink = call.number("size"), call.flag("shrinkok")

    def work() -> Steps:
        target = wanted_size(call, volume, offering, size)
        yield from resized(call, volume, target, shrink)
        if offering is not None and not volume.pool:
            volume.disk_offering = offering.id
        return {"volume": view(call, volume)}

    return call.later(work, volume, key=volume.machine)


def resized(call: Call, volume: Volume, target: int, shrink: bool) -> Steps:
    """Grows, or shrinks what has no storage behind it yet; refuses what the real server refuses."""
    if target < volume.size and not shrink:
        raise ApiError(
            432,
            f"Going from existing size of {volume.size} to size of {target} would shrink the"
            f" volume.Need to sign off"
            " by supplying the shrinkok parameter with value of true.",
        )
    if target < volume.size and volume.pool:
        text = f"Failed to resize volume operation of volume UUID: [{volume.id}] due to - Failed to resize"
        raise ApiError(530, text)
    owner = call.world.account[volume.account]
    limits.check(call.world, owner, {"primary_storage": max(0, target - volume.size)}, 530)
    before, volume.state = volume.state, "Resizing" if volume.pool else volume.state
    yield 0.3
    volume.state, volume.size = before, target
    machine = call.world.machine.get(volume.machine)
    if machine is not None and volume.type == "ROOT":
        machine.details["rootdisksize"] = str(target // GIB)
    return None


def wanted_size(call: Call, volume: Volume, offering: Record | None, size: int | None) -> int:
    if offering is not None and not offering.row["iscustomized"]:
        return volume_sizes.checked(call, int(str(offering.row["disksize"])) * GIB)
    if size is None:
        raise invalid(f"Volume {volume.id} needs a new size or a new disk offering")
    own = call.world.disk_offering.get(volume.disk_offering) if offering is None else offering
    if own is not None and own.row["iscustomized"]:  # that of a root disk leaves nothing open
        volume_sizes.check_custom(call, size)
    return volume_sizes.checked(call, size * GIB)
