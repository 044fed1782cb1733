"""deployVirtualMachine: its checks, the machine with its disks and nic, and the job that starts it.

Apart, because deploying is half of all the rules about machines. Surprising: the machine exists and is
listed as Stopped before its job has done anything, and a deploy that finds no host leaves it in state
Error.
"""

from __future__ import annotations

import base64
import binascii
import re
from uuid import NAMESPACE_OID, uuid3

from .. import errors, limits
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import same_name
from ..model import Account, KeyPair, Machine, Network, Record, Row, SecurityGroup, Snapshot, Template, Volume
from ..model_owned import UserData
from ..registry import command
from ..world import World
from . import addresses, affinity, instance_groups, machine_networks, machines, placement, volume_sizes
from .keypairs import seal

NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
GET_LIMIT = 4096
GIB = limits.GIB
TOP = 2**31 - 1
OPERATOR = 2  # number of the account that public templates are of
TWO_USERDATA = "Both userdata and userdata ID inputs are not allowed"
READABLE = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

# What a machine boots from: one of these, and of the last two only what lies on storage of the whole zone.
SOURCES = ("templateid", "volumeid", "snapshotid")
NOT_ONE_SOURCE = "Please provide only one of the following parameters - template ID, volume ID or snapshot ID"
NO_ZONE_STORAGE = "Deployment of virtual machine is supported only for Zone-wide storage pools"
NO_VOLUME = (
    'Cannot invoke "org.apache.cloudstack.engine.subsystem.api.storage.VolumeInfo.getTemplateId()" because'
    ' "volumeOfSnapshot" is null'
)
NO_ROOT = "Installing from ISO requires a disk offering to be specified for the root disk."
NO_BOOT = "Installing from ISO requires an ISO that is bootable"


def check_name(call: Call, name: str) -> None:
    if not NAME.fullmatch(name):
        raise errors.parameter(
            call.api.name,
            "invalid value. Invalid value provided for API arg: name - it can contain ASCII letters"
            " 'a' through 'z', the"
            " digits '0' through '9', and the hyphen ('-'), must be between 1 and 63 characters"
            " long, and can't start or"
            ' end with "-" and can\'t start with digit',
        )


def check_free(call: Call, name: str, network: Network) -> None:
    """Host names are unique on a network, whoever owns the machines, until a destroyed one is expunged.

    Unlike the names of all else, and unlike what filters find, they are compared with their case.
    """
    if call.simulator.faults.take(call.api.name, "race"):
        return
    nics = call.world.nic
    for machine in call.world.machine:
        if machine.name == name and any(nics[key].network == network.id for key in machine.nics):
            domain = network.row["networkdomain"]
            text = f"The vm with hostName {name} already exists in the network domain: {domain}"
            raise invalid(f"{text}; network={network.name}")


def check_userdata(call: Call, userdata: str) -> str:
    if not BASE64.fullmatch(userdata):
        raise invalid("User data is not base64 encoded.")
    bare = "".join(userdata.split()).rstrip("=")
    try:
        decoded = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise invalid("User data is not base64 encoded.") from None
    if call.method == "GET" and len(userdata) > GET_LIMIT:
        raise invalid("User data is too long for http GET request")
    longest = int(call.simulator.settings.number("vm.userdata.max.length"))
    if len(userdata) > longest:
        raise invalid(f"User data has exceeded configurable max length: {longest}")
    return base64.b64encode(decoded).decode()


def chosen_userdata(call: Call) -> tuple[str | None, str | None]:
    """The user data of a call and, if it is registered user data, its id."""
    given, registered = call.text("userdata"), call.entity("userdataid", UserData)
    if given and registered is not None:
        raise invalid(f"{TWO_USERDATA}, please provide only one")
    if registered is not None:
        call.check_access(registered)
        return registered.userdata, registered.id
    return (check_userdata(call, given) if given else None), None


def bounded(details: dict[str, str], key: str, words: str, low: int, high: int) -> int:
    value = details.get(key, "")
    if not value.isdecimal() or not low <= int(value) <= high:
        raise invalid(f"Invalid {words} value, specify a value between {low} and {high}")
    return int(value)


def sizes(offering: Record, details: dict[str, str] | None) -> tuple[int, int, int]:
    """Number of CPUs, their MHz and the MiB of memory; a custom offering takes what it leaves open from
    `details`.
    """
    row = offering.row
    given = details or {}
    asked = {key for key in given if key in ("cpuNumber", "cpuSpeed", "memory")}
    if not row["iscustomized"]:
        if asked:
            raise invalid("cpuNumber or cpuSpeed or memory should not be specified for static service offering")
        return int(str(row["cpunumber"])), int(str(row["cpuspeed"])), int(str(row["memory"]))
    if not given:
        raise invalid("Need to specify custom parameter values cpu, cpu speed and memory when using custom offering")
    held = row.get("serviceofferingdetails")
    span = {key: int(str(value)) for key, value in held.items()} if isinstance(held, dict) else {}
    cpus = bounded(given, "cpuNumber", "cpu cores", span.get("mincpunumber", 1), span.get("maxcpunumber", TOP))
    fixed = row.get("cpuspeed")
    speed = int(str(fixed)) if fixed is not None else bounded(given, "cpuSpeed", "cpu speed", 1, TOP)
    memory = bounded(given, "memory", "memory", span.get("minmemory", 32), span.get("maxmemory", TOP))
    return cpus, speed, memory


def chosen_groups(call: Call, owner: Account) -> list[str] | None:
    """The security groups a call names, by id or by name; None if it names none."""
    ids, names = call.entities("securitygroupids", SecurityGroup), call.words("securitygroupnames")
    if ids and names:
        raise invalid("securitygroupids parameter is mutually exclusive with securitygroupnames parameter")
    if names:
        return [group_named(call, owner, name).id for name in names]
    for group in ids or ():
        call.check_access(group)
    return [group.id for group in ids] if ids is not None else None


def group_named(call: Call, owner: Account, name: str) -> SecurityGroup:
    for group in call.world.security_group:
        if group.account == owner.id and same_name(group.name, name):
            return group
    raise invalid(f"Unable to find group by name {name}")


def chosen_keys(call: Call, owner: Account) -> list[KeyPair]:
    names = list(call.words("keypairs") or ())
    single = call.text("keypair")
    if single:
        names = [single]
    found = [k for name in names for k in call.world.keypair if k.account == owner.id and same_name(k.name, name)]
    if len(found) != len(names):
        raise invalid("Not all specified keypairs exist")
    return found


def root_bytes(call: Call, template: Template, offering: Record) -> int:
    size = int(str(template.row.get("size", 0)))
    from_offering = int(str(offering.row.get("rootdisksize") or 0)) * GIB
    wanted = call.number("rootdisksize")
    if wanted is None:
        return max(size, from_offering)
    if wanted <= 0:
        raise invalid("Root disk size should be a positive number.")
    volume_sizes.checked(call, wanted * GIB)
    if wanted * GIB < size:
        text = f"Unsupported: rootdisksize override ({wanted} GB) is smaller than template size"
        raise invalid(f"{text} ({size / GIB:.2f} GB) {size}")
    return wanted * GIB


def not_launchable(call: Call, template: Template) -> str:
    permission = "does not have permission to launch instances from template"
    return f"Account Account [{call.described()}] {permission} {described(call.world, template)}"


def from_disk(call: Call) -> ApiError:
    """Why no machine is made of a volume or a snapshot: every pool of this cloud serves one cluster."""
    snapshot = call.entity("snapshotid", Snapshot)
    if snapshot is not None:
        call.check_access(snapshot)
        if call.world.volume.get(snapshot.volume) is None:
            return ApiError(530, NO_VOLUME, 9999, errors.HIDDEN)
    return invalid(NO_ZONE_STORAGE)


def need_template(call: Call, zone: Record) -> Template:
    template = call.entity("templateid", Template)
    if template is None:
        raise from_disk(call)
    if template.row["format"] == "ISO":
        raise invalid(f"{NO_BOOT}: {template.id}" if "diskofferingid" in call.args else NO_ROOT)
    if zone.id not in template.zones or template.state != "Active":
        raise invalid(f"Template {template.id} is not available in zone {zone.id}")
    allowed = call.is_root or template.row.get("ispublic") or call.account.id in template.shared
    if not allowed and (template.account is None or not call.reaches(template)):
        raise errors.denied(not_launchable(call, template))
    hypervisor = call.text("hypervisor")
    if hypervisor and hypervisor.lower() != str(template.row["hypervisor"]).lower():
        text = "Hypervisor passed to the deployVm call, is different from the hypervisor type of the template"
        raise invalid(text)
    return template


def described(world: World, template: Template) -> str:
    unique = f"{template.number}-{OPERATOR}-{template.id}"
    if template.row["templatetype"] == "SYSTEM":
        unique = "simulator-domR"
    elif template.account is not None:
        unique = f"{template.number}-{world.account[template.account].number}-{uuid3(NAMESPACE_OID, template.id)}"
    shown = f'"format":"{template.row["format"]}","id":{template.number},"name":"{template.name}"'
    return f'Template {{{shown},"uniqueName":"{unique}","uuid":"{template.id}"}}'


def data_volume(call: Call, offering: Record | None) -> int | None:
    if offering is None:
        return None
    if not offering.row["iscustomized"]:
        return volume_sizes.checked(call, int(str(offering.row["disksize"])) * GIB)
    size = call.number("size")
    if size is None:
        raise invalid("This disk offering requires a custom size specified")
    volume_sizes.check_custom(call, size)
    return volume_sizes.checked(call, size * GIB)


def start_groups(call: Call, zone: Record, owner: Account) -> list[str]:
    """The groups named, or the default one; none where the zone has no security groups."""
    if not machine_networks.has_groups(zone):
        return []
    return chosen_groups(call, owner) or [group_named(call, owner, "default").id]


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
    template = need_template(call, zone)
    name = call.text("name")
    if name is not None:
        check_name(call, name)
    nets = machine_networks.chosen(call, zone, owner)
    groups = start_groups(call, zone, owner)
    details = call.details()
    cpus, speed, memory = sizes(offering, details)
    size = root_bytes(call, template, offering)
    userdata, registered = chosen_userdata(call)
    affinities = affinity.chosen(call, owner)
    keys = chosen_keys(call, owner)
    disk = call.entity("diskofferingid", Record)
    extra = data_volume(call, disk)
    machine_networks.check_automatic(call, zone, owner, nets)
    for network, _ in nets if name is not None else ():
        check_free(call, str(name), network)
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
            text = f"Template [{described(call.world, template)}] has not been completely downloaded"
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
