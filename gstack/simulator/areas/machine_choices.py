"""What a caller chooses for a machine, and what CloudStack has against it: name, size, source, user data, groups.

Apart from machines_deploy.py because what is changed of a machine later is checked alike. Surprising: sizes of an
offering without fixed ones come as details, and a name is checked for its network, not for its account.
"""

from __future__ import annotations

import base64
import binascii
import re
from uuid import NAMESPACE_OID, uuid3

from .. import errors, limits
from ..call import Call
from ..errors import ApiError, invalid
from ..lists import same_name
from ..model import Account, KeyPair, Network, Record, SecurityGroup, Snapshot, Template
from ..model_owned import UserData
from ..world import World
from . import machine_networks, volume_sizes

NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
GET_LIMIT = 4096
GIB = limits.GIB
TOP = 2**31 - 1
OPERATOR = 2  # number of the account that public templates are of
TWO_USERDATA = "Both userdata and userdata ID inputs are not allowed"
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
