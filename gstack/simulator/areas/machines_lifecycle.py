"""The life of a machine after its deploy: start, stop, reboot, destroy, recover, expunge, and what a crash
leaves.

Apart, because these are the state machine. Surprising: a start or stop of a machine in the wrong state is
accepted and fails later in its job, and destroying needs an expunge, at once or by the clock, before the
name is free again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors
from ..call import Call
from ..errors import ApiError
from ..jobs import Steps
from ..model import Machine, Row, Volume
from ..registry import command
from ..world import World
from . import (
    addresses,
    guest_networks,
    machine_choices,
    machine_networks,
    machines,
    machines_deploy,
    net_rules,
    placement,
)

if TYPE_CHECKING:
    from ..simulator import Simulator

NEVER = "Recovering a vm can only be done by an Admin. Or when the allow.user.expunge.recover.vm key is set."
EMPTY: Row = {"securitygroup": [], "nic": [], "affinitygroup": [], "deleteprotection": False, "tags": []}
FREED = "Message.ReservedCapacityFreed.Flag"


def move(call: Call, machine: Machine, state: str) -> None:
    machine.state, machine.lastupdated = state, call.world.now()
    if state in ("Stopped", "Destroyed", "Error"):
        machine.host = None


def result(call: Call, machine: Machine) -> Row:
    return {"virtualmachine": machines.view(call, machine)}


def check_startable(call: Call, machine: Machine) -> None:
    if machine.state == "Running":
        raise ApiError(431, f"The virtual machine {machine.id} ({machine.name}) is already running")
    if machine.state == "Error" or machine.id not in call.simulator.roots:
        text = f"Unable to create deployment, no usable volumes found for the VM: {machine.id}"
        raise ApiError(530, text)
    if machine.state != "Stopped":
        shown = f'{{"instanceName":"{machines.instance_name(machine)}","uuid":"{machine.id}"}}'
        raise ApiError(530, f"Unable to orchestrate the start of VM instance {shown}.")


@command("startVirtualMachine", "machine")
def start(call: Call) -> Row:
    machine = call.need("id", Machine)

    def work() -> Steps:
        check_startable(call, machine)
        placement.check_owner_enabled(call, machine)
        host = placement.pick_host(call, machine)
        if host is None:
            raise placement.nowhere(machine)
        if not machine.groups and machine_networks.has_groups(call.world.zone[machine.zone]):
            owner = call.world.account[machine.account]
            machine.groups = [machine_choices.group_named(call, owner, "default").id]
        machine_networks.begin(call, machine)
        move(call, machine, "Starting")
        machine.host = host
        yield 0.5
        if call.simulator.faults.take(call.api.name, "no-start"):
            refusal = machines_deploy.not_started(machine)
            move(call, machine, "Stopped")
            machine_networks.down(call, machine)
            raise refusal
        first = "deployvm" in machine.details
        machines_deploy.come_up(call, machine)
        yield 0.1
        password = None
        if first and call.world.template[machine.template].row["passwordenabled"]:
            # UserVmManagerImpl.startVirtualMachine makes one while a machine's parameters are new.
            password = machines_deploy.new_password(call, machine)
        return {"virtualmachine": machines_deploy.with_password(machines.view(call, machine), password)}

    job = call.submit(work, machine, on_failure=lambda: None)
    return {"jobid": job.id}


def go_down(call: Call, machine: Machine) -> Steps:
    if machine.state == "Running":
        move(call, machine, "Stopping")
        yield 0.5
        move(call, machine, "Stopped")
        machine_networks.down(call, machine)
        machine.details[FREED] = "false"
        yield 0.1
    return {}


@command("stopVirtualMachine", "machine")
def stop(call: Call) -> Row:
    machine = call.need("id", Machine)

    def work() -> Steps:
        yield from go_down(call, machine)
        return result(call, machine)

    return call.later(work, machine)


@command("rebootVirtualMachine", "machine")
def reboot(call: Call) -> Row:
    machine = call.need("id", Machine)

    def work() -> Steps:
        if machine.state != "Running":
            text = f"The VM {machine.id} ({machine.name}) is not running, unable to reboot it"
            raise ApiError(431, text)
        yield 0.7
        return result(call, machine)

    return call.later(work, machine)


def may_expunge(call: Call) -> bool:
    return call.account.type == 1 or call.simulator.settings.flag("allow.user.expunge.recover.vm")


@command("destroyVirtualMachine", "machine")
def destroy(call: Call) -> Row:
    machine = call.need("id", Machine)
    expunges = call.flag("expunge")
    volumes = call.entities("volumeids", Volume) or []

    def work() -> Steps:
        if machine.deleteprotection:
            raise ApiError(
                431,
                f"Instance [id = {machine.id}, name = {machines.instance_name(machine)}] has delete"
                f" protection enabled"
                " and cannot be deleted.",
            )
        if expunges and not may_expunge(call):
            raise ApiError(530, "Account does not have permission for expunging.")
        yield from go_down(call, machine)
        if machine.state == "Error":
            move(call, machine, "Expunging")
            row = result(call, machine)
            expunge(call.simulator, machine)
            return row
        if machine.state != "Destroyed":
            move(call, machine, "Destroyed")
            drop_data_disks(call.world, machine, {volume.id for volume in volumes})
            delay = call.simulator.settings.number("expunge.delay")
            machine.expunge_at = call.world.now() + delay
        if expunges:
            expunge(call.simulator, machine)
            return {"virtualmachine": dict(EMPTY)}
        return result(call, machine)

    return call.later(work, machine)


def drop_data_disks(world: World, machine: Machine, doomed: set[str]) -> None:
    for volume in list(world.volume):
        if volume.machine == machine.id and volume.type != "ROOT":
            volume.machine = volume.deviceid = volume.attached = None
            if volume.id in doomed:
                world.volume.remove(volume)
                world.tags.pop(volume.id, None)


@command("recoverVirtualMachine", "machine")
def recover(call: Call) -> Row:
    machine = call.need("id", Machine)
    if not may_expunge(call):
        raise errors.denied(NEVER)
    if machine.state != "Destroyed":
        raise errors.invalid(f"Unable to recover {machines.described(machine)}, it is not in state Destroyed")
    move(call, machine, "Stopped")
    machine.expunge_at = None
    # This one answer shows users what only root sees elsewhere.
    row = {**machines.view(call, machine), "instancename": machines.instance_name(machine), "arch": "x86_64"}
    return {"virtualmachine": row}


@command("expungeVirtualMachine", "machine")
def expunge_now(call: Call) -> Row:
    machine = call.need("id", Machine)

    def work() -> Steps:
        if machine.state != "Destroyed":
            raise ApiError(530, "Please destroy vm with specified vmId before expunge")
        if not may_expunge(call):
            text = "Expunging a vm can only be done by an Admin. Or when the allow.user.expunge.recover.vm key is set."
            raise ApiError(530, text)
        yield 0.3
        expunge(call.simulator, machine)
        return {"success": True}

    return call.later(work, machine)


def expunge(simulator: Simulator, machine: Machine) -> None:
    """Takes a machine away for good, and with it its root volume, its addresses and its tags."""
    world = simulator.world
    net_rules.drop_of_machine(world, machine)
    for volume in list(world.volume):
        if volume.machine == machine.id and volume.type == "ROOT":
            world.volume.remove(volume)
            world.tags.pop(volume.id, None)
    for key in machine.nics:
        nic = world.nic[key]
        addresses.release(world, nic)
        world.nic.remove(nic)
    for snapshot in [row for row in world.machine_snapshot if row.machine == machine.id]:
        world.machine_snapshot.remove(snapshot)
    for schedule in [row for row in world.schedule if row.machine == machine.id]:
        world.schedule.remove(schedule)
    simulator.roots.pop(machine.id, None)
    world.tags.pop(machine.id, None)
    world.machine.remove(machine)


def expunge_due(simulator: Simulator) -> None:
    """What the expunge worker does: destroyed machines whose delay is over go."""
    now = simulator.world.now()
    due = [m for m in simulator.world.machine if m.expunge_at is not None and m.expunge_at <= now]
    for machine in due:
        if machine.id not in simulator.jobs.pending:
            expunge(simulator, machine)
            simulator.jobs.changed = True


def after_crash(simulator: Simulator) -> None:
    """A restart finds no running job: pending ones failed without a result, machines on their way fell to
    Stopped.
    """
    world = simulator.world
    for job in world.job:
        if job.status == 0:
            simulator.jobs.abandon(job)
    for machine in world.machine:
        if machine.state in ("Starting", "Stopping"):
            machine.state, machine.lastupdated = "Stopped", world.now()  # its host goes on being named
    for network in world.network:
        guest_networks.give_up(network)
    settled = {"Attaching": "Ready", "Creating": "Allocated", "Snapshotting": "Ready", "Resizing": "Ready"}
    for volume in world.volume:
        volume.state = settled.get(volume.state, volume.state)
    for snapshot in world.snapshot:
        if snapshot.state != "BackedUp":
            snapshot.state = "Destroyed"
    simulator.roots = {v.machine: v.id for v in world.volume if v.type == "ROOT" and v.machine}
