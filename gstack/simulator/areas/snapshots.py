"""Snapshots of volumes.

Apart, because a snapshot outlives its volume and its machine. Surprising: a deleted snapshot leaves every
list but is still known, so deleting it again fails in the job and not at once.
"""

from __future__ import annotations

import time
from dataclasses import replace

from .. import limits
from ..call import Call
from ..errors import ApiError, hidden, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_id, select, visible_accounts
from ..model import Record, Row, Snapshot, Volume
from ..registry import command
from ..world import date
from . import machines, tags, volumes

SETTLED = frozenset({"BackedUp", "BackingUp", "CreatedOnPrimary", "Creating"})


def described(call: Call, snapshot: Snapshot) -> str:
    volume = call.world.volume.get(snapshot.volume)
    number = volume.number if volume else call.world.volume.gone.get(snapshot.volume, 0)
    return (
        f'Snapshot {{"id":{snapshot.number},"name":"{snapshot.name}","state":"{snapshot.state}",'
        f'"uuid":"{snapshot.id}","version":"2.2","volumeId":{number}}}'
    )


def view(call: Call, snapshot: Snapshot, in_job: bool = False) -> Row:
    world = call.world
    volume = world.volume.get(snapshot.volume)
    row: Row = {"id": snapshot.id, **world.owner(snapshot.account)}
    if in_job:
        row["snapshottype"] = snapshot.kind
    row.update(volumeid=snapshot.volume, volumename=snapshot.volume_name, volumetype=snapshot.volume_type)
    row["volumestate"] = volume.state if volume else "Expunged"
    row.update(created=date(snapshot.created), name=snapshot.name, intervaltype=snapshot.kind, state=snapshot.state)
    row["physicalsize"] = snapshot.physicalsize
    if snapshot.state in SETTLED:
        row.update(zoneid=snapshot.zone, zonename=world.zone[snapshot.zone].name)
    row["revertable"] = False
    ostype = world.os_type.get(snapshot.ostype)
    if ostype is not None:
        row["ostypeid"] = ostype.id
        if in_job:
            row["osdisplayname"] = ostype.row["description"]
    row.update(virtualsize=snapshot.size, tags=shown_tags(call, snapshot, in_job), hasannotations=False)
    return row if in_job else call.mark(row, snapshot.id)


def shown_tags(call: Call, snapshot: Snapshot, in_job: bool) -> list[Row]:
    if in_job:
        return [{"key": tag.key, "value": tag.value} for tag in call.world.tags.get(snapshot.id, ())]
    return call.world.tag_rows(snapshot.id)


MANUAL = "MANUAL"
RECURRING = ("RECURRING", MANUAL)
FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "volumeid": same_id("volume"),
    "zoneid": same_id("zone"),
    "snapshottype": lambda snapshot, wanted: str(wanted).upper() in (snapshot.kind, RECURRING[snapshot.kind == MANUAL]),
    "intervaltype": lambda snapshot, wanted: snapshot.kind == str(wanted).upper(),
}


@command("listSnapshots", "snapshot")
def list_snapshots(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    if "volumeid" not in call.args:
        call.args.pop("intervaltype", None)  # heeded only for the snapshots of one volume
    held = [s for s in call.world.snapshot if mine(s.account) and s.state != "Destroyed"]
    rows = [row for s in held for row in (s, *(replace(s, zone=zone) for zone in s.copies))]
    rows = select(call, rows, FILTERS, lambda snapshot: (snapshot.name,))
    return page(call, "snapshot", rows, lambda snapshot: view(call, snapshot))


def default_name(call: Call, volume: Volume) -> str:
    machine = call.world.machine.get(volume.machine)
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(call.world.now()))
    return f"{machine.name if machine else 'detached'}_{volume.name}_{stamp}"


@command("createSnapshot")
def create(call: Call) -> Row:
    volume, world = call.need("volumeid", Volume), call.world
    machine = world.machine.get(volume.machine)
    if volume.state != "Ready":
        shown = volumes.described(volume, machine)
        raise invalid(f"Volume: {shown} is not in Ready state but {volume.state}. Cannot take snapshot.")
    if machine is not None and machine.state in ("Destroyed", "Expunging"):
        shown = f"volume: {volumes.described(volume, machine)} is associated with vm: {machines.described(machine)}"
        raise hidden(f"Creating snapshot failed due to {shown} is in {machine.state} state")
    pairs = tags.wanted_pairs(call)
    if any(not value for _, value in pairs):
        raise hidden("Unable to create the tags of the snapshot")
    limits.check(world, world.account[volume.account], {"snapshot": 1})
    snapshot = Snapshot(
        id=world.uuid(),
        number=world.snapshot.take_number(),
        name=call.text("name") or default_name(call, volume),
        account=volume.account,
        zone=volume.zone,
        volume=volume.id,
        volume_name=volume.name,
        volume_type=volume.type,
        size=volume.size,
        created=world.now(),
        template=volume.template,
        disk_offering=volume.disk_offering,
        service_offering=volume.service_offering,
        ostype=machine.ostype if machine and volume.type == "ROOT" else None,
    )
    world.snapshot.add(snapshot)
    tags.put(call, "Snapshot", snapshot.id, snapshot.account, pairs)
    quiesce, backs_up_later = call.flag("quiescevm"), call.flag("asyncbackup")

    def fail() -> None:
        volume.state, snapshot.state = "Ready", "Destroyed"

    def work() -> Steps:
        if quiesce:
            text = f"Failed to create snapshot due to an internal error creating snapshot for volume {volume.id}"
            raise ApiError(530, text)
        snapshot.state, volume.state, snapshot.physicalsize = "Creating", "Snapshotting", snapshot.size
        yield 0.4
        snapshot.state, volume.state = "CreatedOnPrimary", "Ready"
        yield 0.2
        snapshot.state, snapshot.physicalsize = "BackingUp" if backs_up_later else "BackedUp", 0
        yield 0.1
        row = view(call, snapshot, in_job=True)
        snapshot.state = "BackedUp"
        return {"snapshot": row}

    job = call.submit(work, snapshot, key=volume.machine or volume.id, on_failure=fail)
    return {"id": snapshot.id, "jobid": job.id}


@command("deleteSnapshot", "snapshot")
def delete(call: Call) -> Row:
    snapshot = call.need("id", Snapshot)

    def work() -> Steps:
        if snapshot.state == "Destroyed":
            raise ApiError(431, f"Snapshot [{described(call, snapshot)}] is already destroyed")
        zone = call.entity("zoneid", Record)
        zones = [snapshot.zone, *snapshot.copies]
        if zone is not None and zone.id not in zones:
            raise invalid(f"Snapshot {snapshot.id} is not in zone {zone.id}")
        yield 0.2
        if zone is not None and len(zones) > 1:
            zones.remove(zone.id)
            snapshot.zone, snapshot.copies = zones[0], zones[1:]
            return {"success": True}
        snapshot.state = "Destroyed"
        call.world.tags.pop(snapshot.id, None)
        return {"success": True}

    return call.later(work, snapshot)


@command("revertSnapshot", "snapshot")
def revert(call: Call) -> Row:
    """Reverting is for KVM, so here it fails, with the words that depend on the machine."""
    snapshot = call.need("id", Snapshot)

    def work() -> Steps:
        volume = call.world.volume.get(snapshot.volume)
        machine = call.world.machine.get(volume.machine) if volume else None
        if machine is not None and machine.state != "Stopped":
            raise invalid("The VM the specified disk is attached to is not in the shutdown state.")
        yield 0.2
        raise ApiError(
            530,
            f"Revert snapshot command failed for snapshot {described(call, snapshot)}, because this"
            f" command is supported"
            " only for KVM hypervisor",
        )

    return call.later(work, snapshot)
