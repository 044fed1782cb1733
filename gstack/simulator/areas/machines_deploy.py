"""deployVirtualMachine: the machine with its disks and nic, and the job that starts it.

Apart, because deploying is half of all the rules about machines. Surprising: the machine exists and is
listed as Stopped before its job has done anything, and a deploy that finds no host leaves it in state
Error.
"""

from __future__ import annotations

from .. import errors, limits
from ..call import Call
from ..errors import ApiError
from ..jobs import Steps
from ..model import KeyPair, Machine, Record, Row, Template, Volume
from ..registry import command
from . import addresses, affinity, instance_groups, machine_choices, machine_networks, machines, placement
from .keypairs import seal

READABLE = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

# What a machine boots from: one of these, and of the last two only what lies on storage of the whole zone.
SOURCES = ("templateid", "volumeid", "snapshotid")
NOT_ONE_SOURCE = "Please provide only one of the following parameters - template ID, volume ID or snapshot ID"


@command("deployVirtualMachine")
def deploy(call: Call) -> Row:
    world = call.world
    if sum(name in call.args for name in SOURCES) != 1:
        raise errors.hidden(NOT_ONE_SOURCE)
    zone, offering = call.need("zoneid", Record), call.need("serviceofferingid", Record)
    if call.text("customid") and not call.is_root:
        raise errors.denied("Please check your permissions, you are not allowed to create/update custom id")
    placement.check_zone(call, zone)
    placement.check_offering(call, offering, zone)
    owner = call.owner()
    placement.check_owner(call, owner)
    template = machine_choices.need_template(call, zone)
    name = call.text("name")
    if name is not None:
        machine_choices.check_name(call, name)
    nets = machine_networks.chosen(call, zone, owner)
    groups = machine_choices.start_groups(call, zone, owner)
    details = call.details()
    cpus, speed, memory = machine_choices.sizes(offering, details)
    size = machine_choices.root_bytes(call, template, offering)
    userdata, registered = machine_choices.chosen_userdata(call)
    affinities = affinity.chosen(call, owner)
    keys = machine_choices.chosen_keys(call, owner)
    disk = call.entity("diskofferingid", Record)
    extra = machine_choices.data_volume(call, disk)
    machine_networks.check_automatic(call, zone, owner, nets)
    for network, _ in nets if name is not None else ():
        machine_choices.check_free(call, str(name), network)
    wanted = {"user_vm": 1, "cpu": cpus, "memory": memory, "volume": 1 if extra is None else 2}
    limits.check(world, owner, {**wanted, "primary_storage": size + (extra or 0)}, cs=9999)

    machine_id = world.uuid()
    machine = Machine(
        id=machine_id,
        number=world.machine.take_number(),
        name=name if name is not None else f"VM-{machine_id}",
        displayname=call.text("displayname") or name or f"VM-{machine_id}",
        account=owner.id,
        user=call.user.id,
        zone=zone.id,
        template=template.id,
        offering=offering.id,
        created=world.now(),
        details=free_details(details),
        groups=groups,
        ostype=str(template.row["ostypeid"]),
        userdata=userdata,
        userdata_id=registered,
        affinity=affinities,
        cpunumber=cpus,
        cpuspeed=speed,
        memory=memory,
        disk_offering=disk.id if disk else None,
        ha=bool(offering.row["offerha"]),
        dynamic=call.simulator.settings.flag("enable.dynamic.scale.vm")
        and call.flag("dynamicscalingenabled", True)
        and bool(template.row["isdynamicallyscalable"] and offering.row["dynamicscalingenabled"]),
    )
    if "rootdisksize" in call.args:
        machine.details["rootdisksize"] = str(call.args["rootdisksize"])
    use_keys(machine, keys)
    world.machine.add(machine)
    instance_groups.put(call, machine, call.text("group"))
    machine_networks.connect(call, machine, zone, owner, nets)
    add_volumes(call, machine, size, disk, extra)
    return run(call, machine, template)


def free_details(details: dict[str, str] | None) -> dict[str, str]:
    given = dict(details or {})
    order = ("cpuNumber", "memory", "cpuSpeed")
    return {**{key: given.pop(key) for key in order if key in given}, **given}


def use_keys(machine: Machine, keys: list[KeyPair]) -> None:
    if keys:
        machine.keypairs = [key.name for key in keys]
        machine.details["SSH.PublicKey"] = "\n".join(key.public_key for key in keys)
        machine.details["SSH.KeyPairNames"] = ",".join(machine.keypairs)


def add_volumes(call: Call, machine: Machine, size: int, disk: Record | None, extra: int | None) -> None:
    add_root(call, machine, size)
    if disk is None or extra is None:
        return
    world = call.world
    name = f"DATA-{machine.number}"
    volume = Volume(
        world.uuid(),
        world.volume.take_number(),
        name,
        machine.account,
        machine.zone,
        "DATADISK",
        extra,
        world.now(),
        machine=machine.id,
        deviceid=1,
        disk_offering=disk.id,
    )
    world.volume.add(volume)


def add_root(call: Call, machine: Machine, size: int, offering: str | None = None) -> Volume:
    world = call.world
    volume = Volume(
        world.uuid(),
        world.volume.take_number(),
        f"ROOT-{machine.number}",
        machine.account,
        machine.zone,
        "ROOT",
        size,
        world.now(),
        machine=machine.id,
        deviceid=0,
        service_offering=offering or machine.offering,
        template=machine.template,
    )
    call.simulator.roots[machine.id] = volume.id
    return world.volume.add(volume)


def new_password(call: Call, machine: Machine) -> str:
    length = int(call.simulator.settings.number("vm.password.length"))
    password = "".join(call.world.random.choices(READABLE, k=length))
    sealed = seal(machine.details.get("SSH.PublicKey", ""), password)
    machine.details.pop("Encrypted.Password", None)
    if sealed:
        machine.details["Encrypted.Password"] = sealed
    return password


def fail(call: Call, machine: Machine) -> None:
    machine.state, machine.lastupdated, machine.host = "Error", call.world.now(), None
    machine_networks.down(call, machine)
    root = call.world.volume[call.simulator.roots[machine.id]]
    root.state = "Destroy"


def run(call: Call, machine: Machine, template: Template) -> Row:
    machine.details["deployvm"] = "true"
    starts = call.flag("startvm", True)

    def work() -> Steps:
        if not starts:
            yield 0.1
            return {"virtualmachine": machines.view(call, machine)}
        if not template.row["isready"]:
            fail(call, machine)
            where = call.world.zone[machine.zone].name
            text = f"Template [{machine_choices.described(call.world, template)}] has not been completely downloaded"
            raise ApiError(530, f"{text} to the zone [{where}].")
        host = placement.pick_host(call, machine)
        if host is None:
            fail(call, machine)
            raise placement.nowhere(machine)
        machine.state, machine.lastupdated, machine.host = "Starting", call.world.now(), host
        wire(call, machine)
        yield 0.2
        call.world.volume[call.simulator.roots[machine.id]].pool = True
        yield 0.3
        if call.simulator.faults.take(call.api.name, "no-start"):
            refusal = not_started(machine)
            for key in machine.nics:
                addresses.assign(call, call.world.nic[key])
            fail(call, machine)
            raise refusal
        come_up(call, machine)
        yield 0.2
        password = new_password(call, machine) if template.row["passwordenabled"] else None
        return {"virtualmachine": with_password(machines.view(call, machine), password)}

    job = call.submit(work, machine, on_failure=lambda: fail(call, machine))
    return {"id": machine.id, "jobid": job.id}


def wire(call: Call, machine: Machine) -> None:
    """Brings the networks of a starting machine to life; a machine that gets none fails."""
    try:
        machine_networks.begin(call, machine)
    except ApiError:
        fail(call, machine)
        raise


def not_started(machine: Machine) -> ApiError:
    text = f"Unable to create a deployment for {machines.described(machine)}"
    return ApiError(530, f"Unable to start a VM [{machine.id}] due to [{text}].")


def with_password(row: Row, password: str | None) -> Row:
    """The one place where a password is ever shown stands right before the nics."""
    if password is None:
        return row
    shown: Row = {}
    for key, value in row.items():
        if key == "nic":
            shown["password"] = password
        shown[key] = value
    return shown


def come_up(call: Call, machine: Machine) -> None:
    """What the first start brings: an address, storage behind the disks, the state Running."""
    world = call.world
    for key in machine.nics:
        nic = world.nic[key]
        addresses.assign(call, nic)
    for volume in world.volume:
        if volume.machine == machine.id and volume.state == "Allocated":
            volume.state, volume.pool, volume.content = "Ready", True, volume.template
            volume.size = volume.size or world.template[machine.template].bytes
    machine_networks.up(call, machine)
    machine.details.pop("deployvm", None)
    machine.state, machine.lastupdated = "Running", world.now()
