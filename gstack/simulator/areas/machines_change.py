"""Changes to a machine: updateVirtualMachine, its size, its keys and password, reinstalling it.

Apart from its life, because none of this moves the state machine. Surprising: free-form details are
replaced as a whole, security groups change on a stopped machine only, and a resize is checked at once in
one command and in the job in another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import errors, limits
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..model import Machine, Record, Row, Template
from ..registry import command
from . import instance_groups, machine_choices, machines, machines_deploy, placement
from .machines_deploy import with_password
from .machines_lifecycle import go_down, move

VALUE_LENGTH, KEY_LENGTH = 5_120, 255
READONLY_DETAILS = frozenset({"rootdisksize", "dataDiskController", "rootDiskController"})
HEX = "URLDecoder: Illegal hex characters in escape (%) pattern - Error at index 0 in: "


@command("updateVirtualMachine", "machine")
def update(call: Call) -> Row:
    machine = call.need("id", Machine)
    check_update(call, machine)
    name = chosen_name(call, machine)
    userdata, registered = chosen_userdata(call)
    change_groups(call, machine)
    change_details(call, machine)
    machine.name = name
    if call.text("displayname"):
        machine.displayname = str(call.text("displayname"))
    if userdata:
        machine.userdata, machine.userdata_id = userdata, registered
    instance_groups.put(call, machine, call.text("group"))
    ostype = call.entity("ostypeid", Record)
    if ostype is not None:
        machine.ostype = ostype.id
    machine.dynamic = call.flag("isdynamicallyscalable", machine.dynamic)
    machine.ha = call.flag("haenable", machine.ha)
    machine.deleteprotection = call.flag("deleteprotection", machine.deleteprotection)
    if call.is_root:
        machine.displayvm = call.flag("displayvm", machine.displayvm)
    return {"virtualmachine": machines.view(call, machine)}


def check_update(call: Call, machine: Machine) -> None:
    userdata = call.text("userdata") or ""
    if userdata.startswith("%"):
        raise ApiError(431, f'{HEX}"{userdata[1:3]}"', 9999)
    if call.text("customid") and not call.is_root:
        raise errors.denied("Please check your permissions, you are not allowed to create/update custom id")
    if machine.state in ("Error", "Destroyed", "Expunging"):
        raise errors.hidden(f"Failed to update VM, due to: {machines.described(machine)} is in state {machine.state}")
    if call.flag("haenable") and not call.world.service_offering[machine.offering].row["offerha"]:
        text = "Can't enable ha for the vm as it's created from the Service offering having HA disabled"
        raise errors.hidden(f"Failed to update VM, due to: {text}")


def chosen_name(call: Call, machine: Machine) -> str:
    """The name the machine shall have; one that is taken on a network of its own is refused without a reason."""
    name = call.text("name")
    if name is None or name == machine.name:
        return machine.name
    machine_choices.check_name(call, name)
    with refusals_hidden():
        for nic in machine.nics:
            machine_choices.check_free(call, name, call.world.network[call.world.nic[nic].network])
    return name


def chosen_userdata(call: Call) -> tuple[str | None, str | None]:
    with refusals_hidden():
        return machine_choices.chosen_userdata(call)


@contextmanager
def refusals_hidden() -> Iterator[None]:
    """What a deploy says of a value, an update hides: all refusals of the update itself are internal errors."""
    try:
        yield
    except ApiError as error:
        if error.code != 431:
            raise
        raise errors.hidden(f"Failed to update VM, due to: {error.text}") from None


def change_groups(call: Call, machine: Machine) -> None:
    groups = machine_choices.chosen_groups(call, call.world.account[machine.account])
    if groups is None:
        return
    if machine.state != "Stopped":
        text = f"VM {machine.id} must be stopped prior to update security groups"
        raise errors.hidden(f"Failed to update VM, due to: {text}")
    machine.groups = groups


def change_details(call: Call, machine: Machine) -> None:
    given = call.details()
    if given is None:
        if call.flag("cleanupdetails"):
            machine.details = kept(machine)
        return
    denied = READONLY_DETAILS & set(given)
    if denied:
        raise errors.hidden(f"You're not allowed to add or edit the read-only setting: {sorted(denied)[0]}")
    cut = {key[:KEY_LENGTH]: value[:VALUE_LENGTH] for key, value in given.items()}
    machine.details = {**kept(machine), **cut}


def kept(machine: Machine) -> dict[str, str]:
    return {key: value for key, value in machine.details.items() if key in machines.HIDDEN_DETAILS}


def check_new_offering(machine: Machine, offering: Record, call: Call) -> tuple[int, int, int]:
    new = machine_choices.sizes(offering, call.details())
    if offering.id == machine.offering and not offering.row["iscustomized"]:
        text = "since it already has the requested service offering"
        raise invalid(f"Not upgrading vm {machines.described(machine)} {text} ({offering.name})")
    return new


def resize(call: Call, machine: Machine, offering: Record, size: tuple[int, int, int], code: int) -> None:
    cpus, _, memory = size
    more = {"cpu": cpus - machine.cpunumber, "memory": memory - machine.memory}
    owner = call.world.account[machine.account]
    limits.check(call.world, owner, {name: step for name, step in more.items() if step > 0}, code)
    machine.offering, machine.ha = offering.id, bool(offering.row["offerha"])
    machine.cpunumber, machine.cpuspeed, machine.memory = size
    for key in ("cpuNumber", "cpuSpeed", "memory"):
        machine.details.pop(key, None)
    if offering.row["iscustomized"]:
        machine.details.update(machines_deploy.free_details(call.details()))
        machine.details.setdefault("cpuSpeed", str(machine.cpuspeed))


@command("changeServiceForVirtualMachine", "machine")
def change_service(call: Call) -> Row:
    machine, offering = call.need("id", Machine), call.need("serviceofferingid", Record)
    if machine.state != "Stopped":
        raise invalid(
            f"Unable to upgrade virtual machine {machines.described(machine)}  in state"
            f" {machine.state}; make sure the"
            " virtual machine is stopped"
        )
    size = check_new_offering(machine, offering, call)
    resize(call, machine, offering, size, 535)
    return {"virtualmachine": machines.view(call, machine)}


@command("scaleVirtualMachine", "machine")
def scale(call: Call) -> Row:
    machine, offering = call.need("id", Machine), call.need("serviceofferingid", Record)

    def work() -> Steps:
        size = check_new_offering(machine, offering, call)
        if machine.state == "Running":
            check_live(call, machine, offering, size)
        elif machine.state != "Stopped":
            raise invalid(f"Unable to scale {machines.described(machine)} in state {machine.state}")
        resize(call, machine, offering, size, 530)
        yield 0.3
        return {"virtualmachine": machines.view(call, machine)}

    return call.later(work, machine)


def check_live(call: Call, machine: Machine, offering: Record, size: tuple[int, int, int]) -> None:
    if not call.simulator.settings.flag("enable.dynamic.scale.vm"):
        raise errors.denied("Machines cannot be scaled while they run: the zone has dynamic scaling disabled.")
    if not machine.dynamic or not offering.row["dynamicscalingenabled"]:
        raise invalid(f"Unable to scale {machines.described(machine)}: it is not dynamically scalable")
    cpus, speed, memory = size
    if not (cpus > machine.cpunumber or speed > machine.cpuspeed or memory > machine.memory):
        raise invalid(
            "While the VM is running, only scalling up it is supported. New service offering"
            f' {{"memory": {memory}, "speed": {speed}, "cpu": {cpus}}} should have at least one value'
            f" (ram, speed or cpu)"
            f' greater than the current values {{"memory": {machine.memory}, "speed": {machine.cpuspeed},'
            f' "cpu": {machine.cpunumber}}}.'
        )


@command("resetSSHKeyForVirtualMachine", "machine")
def reset_key(call: Call) -> Row:
    machine = call.need("id", Machine)

    def work() -> Steps:
        keys = machine_choices.chosen_keys(call, call.world.account[machine.account])
        if machine.state != "Stopped":
            raise invalid(f"Vm {machines.described(machine)} should be stopped to do SSH Key reset")
        yield 0.2
        machines_deploy.use_keys(machine, keys)
        machine.details.pop("Encrypted.Password", None)
        return {"virtualmachine": machines.view(call, machine)}

    return call.later(work, machine)


def fresh_password(call: Call, machine: Machine) -> str | None:
    enabled = call.world.template[machine.template].row["passwordenabled"]
    return machines_deploy.new_password(call, machine) if enabled else None


@command("resetPasswordForVirtualMachine", "machine")
def reset_password(call: Call) -> Row:
    machine = call.need("id", Machine)

    def work() -> Steps:
        if machine.state != "Stopped":
            raise invalid(f"Vm {machines.described(machine)} should be stopped to do password reset")
        yield 0.2
        password = fresh_password(call, machine)
        if password is None:
            raise ApiError(530, f"Failed to reset password for the virtual machine {machine.id}")
        return {"virtualmachine": with_password(machines.view(call, machine), password)}

    return call.later(work, machine)


@command("restoreVirtualMachine")
def restore(call: Call) -> Row:
    machine = call.need("virtualmachineid", Machine)
    template = call.entity("templateid", Template)

    def work() -> Steps:
        was_running = machine.state == "Running"
        if machine.state not in ("Running", "Stopped"):
            raise invalid(
                f"Vm {machines.described(machine)} currently in {machine.state} state, restore vm can only execute"
            )
        yield from go_down(call, machine)
        replace_root(call, machine, template)
        password = fresh_password(call, machine)
        if was_running:
            move(call, machine, "Starting")
            machine.host = placement.pick_host(call, machine)
            yield 0.3
            machines_deploy.come_up(call, machine)
        return {"virtualmachine": with_password(machines.view(call, machine), password)}

    return call.later(work, machine)


def replace_root(call: Call, machine: Machine, template: Template | None) -> None:
    world = call.world
    old = world.volume[call.simulator.roots[machine.id]]
    if template is not None:
        machine.template, machine.ostype = template.id, str(template.row["ostypeid"])
    size = max(old.size, int(str(world.template[machine.template].row.get("size", 0))))
    world.volume.remove(old)
    world.tags.pop(old.id, None)
    machines_deploy.add_root(call, machine, size, old.service_offering)
    root = world.volume[call.simulator.roots[machine.id]]
    if old.pool:
        root.state, root.pool, root.attached = "Ready", True, world.now()
