"""Snapshots of whole machines.

Apart from snapshots of volumes, with which they share nothing. Surprising: the name given becomes the
display name, the real name is made up, and the list calls its rows `vmSnapshot`.
"""

from __future__ import annotations

import time

from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import Filters, check_page, page, same_id, same_name, select, visible_accounts
from ..model import Machine, Row
from ..model_owned import MachineSnapshot
from ..registry import command
from ..world import date
from . import machines

MOST = 10


def view(call: Call, snapshot: MachineSnapshot) -> Row:
    world = call.world
    machine = world.machine.get(snapshot.machine)
    row: Row = {"id": snapshot.id, "name": snapshot.name, "state": snapshot.state}
    if snapshot.description:
        row["description"] = snapshot.description
    row.update(displayname=snapshot.displayname, zoneid=snapshot.zone, zonename=world.zone[snapshot.zone].name)
    row["virtualmachineid"] = snapshot.machine
    if machine is not None:
        row["virtualmachinename"] = machine.name
    parent = world.machine_snapshot.get(snapshot.parent)
    if parent is not None:
        row.update(parent=parent.id, parentName=parent.displayname)
    row.update(current=snapshot.current, type=snapshot.type, created=date(snapshot.created))
    row.update(world.owner(snapshot.account), hypervisor="Simulator")
    row.update(tags=world.tag_rows(snapshot.id), hasannotations=False)
    return row


def of_machine(call: Call, machine: Machine) -> list[MachineSnapshot]:
    return [snapshot for snapshot in call.world.machine_snapshot if snapshot.machine == machine.id]


def check(call: Call, machine: Machine, memory: bool) -> None:
    if machine.state not in ("Running", "Stopped"):
        raise invalid(f"Creating vm snapshot failed due to VM:{machine.number} is not in the running or Stopped state")
    if memory and machine.state != "Running":
        raise invalid("Can not snapshot memory when VM is not in Running state")
    taken = of_machine(call, machine)
    name = call.text("name")
    if name and any(same_name(snapshot.displayname, name) for snapshot in taken):
        raise invalid(f"Creating VM snapshot failed due to VM snapshot with name{name}  already exists")
    if any(snapshot.state not in ("Ready", "Error") for snapshot in taken):
        raise ApiError(530, "There is other active vm snapshot tasks on the instance, please try again later", 4250)
    if len(taken) >= MOST:
        raise ApiError(530, f"A machine can have {MOST} snapshots; delete an old one first", 4250)


@command("createVMSnapshot")
def create(call: Call) -> Row:
    machine, world = call.need("virtualmachineid", Machine), call.world
    memory = call.flag("snapshotmemory")
    check(call, machine, memory)
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(world.now()))
    name = f"{machines.instance_name(machine)}_VS_{stamp}"
    parent = next((snapshot.id for snapshot in of_machine(call, machine) if snapshot.current), None)
    snapshot = MachineSnapshot(
        id=world.uuid(),
        number=world.machine_snapshot.take_number(),
        name=name,
        displayname=call.text("name") or name,
        account=machine.account,
        zone=machine.zone,
        machine=machine.id,
        created=world.now(),
        type="DiskAndMemory" if memory else "Disk",
        description=call.text("description"),
        parent=parent,
        current=False,
    )
    world.machine_snapshot.add(snapshot)

    def fail() -> None:
        snapshot.state = "Error"

    def work() -> Steps:
        snapshot.state = "Creating"
        yield 0.4
        for other in of_machine(call, machine):
            other.current = other is snapshot
        snapshot.state = "Ready"
        return {"vmsnapshot": view(call, snapshot)}

    return {"id": snapshot.id, "jobid": call.submit(work, snapshot, key=machine.id, on_failure=fail).id}


def is_chosen(row: MachineSnapshot, wanted: object) -> bool:
    return isinstance(wanted, list) and row.id in {getattr(item, "id", item) for item in wanted}


FILTERS: Filters = {
    "vmsnapshotid": same_id("id"),
    "vmsnapshotids": is_chosen,
    "virtualmachineid": same_id("machine"),
    "name": lambda snapshot, wanted: same_name(snapshot.displayname, wanted),
    "state": lambda snapshot, wanted: same_name(snapshot.state, wanted),
}


@command("listVMSnapshot", "machine_snapshot")
def list_snapshots(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [snapshot for snapshot in call.world.machine_snapshot if mine(snapshot.account)]
    rows = select(call, rows, FILTERS, lambda snapshot: (snapshot.name, snapshot.displayname, snapshot.description))
    return page(call, "vmSnapshot", rows, lambda snapshot: view(call, snapshot))


@command("deleteVMSnapshot")
def delete(call: Call) -> Row:
    snapshot = call.need("vmsnapshotid", MachineSnapshot)
    if snapshot.state not in ("Ready", "Error"):
        raise invalid(f"The machine snapshot {snapshot.id} is in state {snapshot.state}")

    def work() -> Steps:
        snapshot.state = "Expunging"
        yield 0.2
        forget(call, snapshot)
        return {"success": True}

    return call.later(work, snapshot, key=snapshot.machine)


def forget(call: Call, snapshot: MachineSnapshot) -> None:
    for child in call.world.machine_snapshot:
        if child.parent == snapshot.id:
            child.parent = snapshot.parent
    call.world.machine_snapshot.remove(snapshot)
    call.world.tags.pop(snapshot.id, None)


@command("revertToVMSnapshot")
def revert(call: Call) -> Row:
    snapshot = call.need("vmsnapshotid", MachineSnapshot)
    machine = call.world.machine.get(snapshot.machine)
    if machine is None or machine.state not in ("Running", "Stopped"):
        raise invalid("VM Snapshot reverting failed due to vm is not in the state of Running or Stopped.")
    if snapshot.state != "Ready":
        raise invalid("VM Snapshot reverting failed due to vm snapshot is not in the state of Created.")

    def work() -> Steps:
        snapshot.state = "Reverting"
        yield 0.4
        for other in of_machine(call, machine):
            other.current = other is snapshot
        snapshot.state = "Ready"
        return {"virtualmachine": machines.view(call, machine)}

    return call.later(work, snapshot, key=machine.id)
