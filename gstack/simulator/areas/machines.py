"""Virtual machines as they are shown: the row, listVirtualMachines and what else only reads.

Apart from their life and their changes. Surprising: a destroyed machine is invisible to users at once but still holds its
name, address, groups and root volume, and `details=min` shows only one of several security groups.
"""

from __future__ import annotations

from ..call import Call
from ..errors import ApiError, invalid
from ..lists import ID_FILTERS, Filters, check_page, like, name_is, page, same_id, select, visible_accounts
from ..model import Machine, Network, Nic, Row, SecurityGroup
from ..registry import command
from ..world import date

DETAILS = (
    "all", "group", "nics", "stats", "secgrp", "tmpl", "servoff", "diskoff", "backoff", "iso", "volume", "min",
    "affgrp", "vnfnics",
)  # fmt: skip
# Details that only root sees in a list.
HIDDEN_DETAILS = frozenset({"rootdisksize", "Message.ReservedCapacityFreed.Flag"})
READONLY = "dataDiskController, rootDiskController"
GONE = frozenset({"Destroyed", "Expunging"})


def described(machine: Machine, state: str | None = None) -> str:
    """How CloudStack prints a machine inside its error texts."""
    return (
        f'VM instance {{"id":{machine.number},"instanceName":"{instance_name(machine)}","state":"{state or machine.state}",'
        f'"type":"User","uuid":"{machine.id}"}}'
    )


def instance_name(machine: Machine) -> str:
    return f"i-4-{machine.number}-VM"


def host_row(number: int, zone: str) -> tuple[str, str]:
    """A made-up, stable identity for the n-th host of a zone."""
    tail = f"{number:012d}"
    return f"3287ce41-06c5-404e-{zone[:4]}-{tail}", f"SimulatedAgent.01e28796-6778-4706-{zone[:4]}-{tail}"


def nic_row(nic: Nic, network: Network, with_secondary: bool = True) -> Row:
    row: Row = {"id": nic.id, "networkid": network.id, "networkname": network.name}
    if nic.ip:
        row.update(netmask=network.netmask, gateway=network.gateway, ipaddress=nic.ip, broadcasturi="vlan://untagged")
    row.update(traffictype="Guest", type=network.row["type"], isdefault=nic.deviceid == 0)
    if nic.ip and nic.mac:
        row["macaddress"] = nic.mac
    if with_secondary or nic.secondary:
        row["secondaryip"] = [{"id": one["id"], "ipaddress": one["ipaddress"]} for one in nic.secondary]
    row["extradhcpoption"] = []
    row["deviceid"] = str(nic.deviceid)
    return row


def group_row(group: SecurityGroup, account: str) -> Row:
    row: Row = {"id": group.id, "name": group.name}
    if group.description:
        row["description"] = group.description
    row.update(account=account, ingressrule=[], egressrule=[], tags=[], virtualmachineids=[])
    return row


def catalogue_part(call: Call, machine: Machine) -> Row:
    """The fields that `details=min` leaves out."""
    world = call.world
    template, offering = world.template[machine.template], world.service_offering[machine.offering]
    row: Row = {
        "templateid": template.id,
        "templatename": template.name,
        "templatetype": template.row["templatetype"],
        "templateformat": template.row["format"],
        "templatedisplaytext": template.row["displaytext"],
        "passwordenabled": template.row["passwordenabled"],
        "serviceofferingid": offering.id,
        "serviceofferingname": offering.name,
    }
    disk = world.disk_offering.get(machine.disk_offering)
    if disk is not None:
        row.update(diskofferingid=disk.id, diskofferingname=disk.name)
    row.update(cpunumber=machine.cpunumber, cpuspeed=machine.cpuspeed, memory=machine.memory)
    return row


def view(call: Call, machine: Machine, minimal: bool = False) -> Row:
    world, is_root = call.world, call.is_root
    owner, user, zone = world.owner(machine.account), world.user[machine.user], world.zone[machine.zone]
    row: Row = {"id": machine.id, "name": machine.name, "displayname": machine.displayname}
    row.update((key, owner[key]) for key in ("account", "projectid", "project") if key in owner)
    row.update(userid=user.id, username=user.name)
    row.update((key, owner[key]) for key in ("domainid", "domain", "domainpath"))
    row["created"] = date(machine.created)
    if machine.lastupdated is not None:
        row["lastupdated"] = date(machine.lastupdated)
    row.update(state=machine.state, haenable=False)
    if machine.group:
        row.update(groupid=machine.group_id, group=machine.group)
    row.update(zoneid=zone.id, zonename=zone.name)
    if machine.host is not None:
        if is_root:
            row["hostid"], row["hostname"] = host_row(machine.host, zone.id)
        row["hostcontrolstate"] = "Enabled"
    if not minimal:
        row.update(catalogue_part(call, machine))
    row["guestosid"] = machine.ostype
    if not minimal:
        row.update(rootdeviceid=0, rootdevicetype="ROOT")
    groups = [group_row(world.security_group[key], str(owner.get("account", ""))) for key in machine.groups]
    row["securitygroup"] = groups[-1:] if minimal else groups
    nics = [world.nic[key] for key in machine.nics]
    row["nic"] = [nic_row(nic, world.network[nic.network]) for nic in nics]
    row["hypervisor"] = "Simulator"
    # With one group, and so one joined row, `details=min` loses the address of the machine itself.
    if nics and nics[0].ip and not (minimal and len(groups) < 2):
        row["ipaddress"] = nics[0].ip
    row.update(tail(call, machine))
    return call.mark(row, machine.id)


def tail(call: Call, machine: Machine) -> Row:
    world, is_root = call.world, call.is_root
    row: Row = {}
    if is_root:
        row.update(instancename=instance_name(machine), details=machine.details)
    else:
        row["details"] = {key: value for key, value in machine.details.items() if key not in HIDDEN_DETAILS}
        row["readonlydetails"] = READONLY
    if machine.keypairs:
        row["keypairs"] = ",".join(machine.keypairs)
    row["affinitygroup"] = []
    if is_root:
        row["displayvm"] = machine.displayvm
    ostype = world.os_type[machine.ostype]
    row.update(isdynamicallyscalable=machine.dynamic, deleteprotection=machine.deleteprotection)
    row.update(ostypeid=ostype.id, osdisplayname=ostype.row["description"])
    # Shown exactly while a machine has no detail at all, not even a hidden one.
    if not machine.details:
        row.update(bootmode="legacy", boottype="Bios")
    if has_pool(call, machine):
        row["pooltype"] = "NetworkFilesystem"
    row.update(receivedbytes=0, sentbytes=0)
    if is_root:
        row["arch"] = "x86_64"
    row.update(tags=world.tag_rows(machine.id), hasannotations=False)
    return row


def has_pool(call: Call, machine: Machine) -> bool:
    root = call.simulator.roots.get(machine.id)
    return root is not None and call.world.volume[root].pool


def on_network(machine: Machine, wanted: object, call: Call) -> bool:
    return any(call.world.nic[key].network == getattr(wanted, "id", None) for key in machine.nics)


def state_is(machine: Machine, wanted: object) -> bool:
    name = str(wanted).lower()
    return machine.state not in GONE if name == "present" else machine.state.lower() == name


FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "state": state_is,
    "zoneid": same_id("zone"),
    "templateid": same_id("template"),
    "serviceofferingid": same_id("offering"),
    "userid": same_id("user"),
    "securitygroupid": lambda machine, wanted: getattr(wanted, "id", None) in machine.groups,
    "hypervisor": lambda machine, wanted: str(wanted).lower() == "simulator",
    "haenable": lambda machine, wanted: wanted is False,
}


def words(call: Call, machine: Machine) -> list[str | None]:
    return [machine.name, machine.displayname, *(call.world.nic[key].ip for key in machine.nics)]


@command("listVirtualMachines", "machine")
def list_machines(call: Call) -> Row:
    wanted = {word.lower() for word in call.words("details") or ()}
    if not wanted <= set(DETAILS):
        text = "The details parameter contains a non permitted value. The allowed values are "
        raise invalid(f"{text}[{', '.join(DETAILS)}]")
    if "id" in call.args and call.args.get("ids"):
        raise invalid("Specify either id or ids but not both parameters")
    if not call.args.get("ids"):
        call.args.pop("ids", None)
    check_page(call)
    mine, destroyed = visible_accounts(call), sees_destroyed(call)
    rows = [m for m in call.world.machine if mine(m.account) and (destroyed or m.state not in GONE)]
    if "networkid" in call.args:
        rows = [m for m in rows if on_network(m, call.args["networkid"], call)]
    keyword = call.args.pop("keyword", None)
    rows = select(call, rows, FILTERS, lambda machine: ())
    if keyword:
        contains = like(str(keyword))
        rows = [m for m in rows if m.state == keyword or any(contains(text) for text in words(call, m))]
    if call.flag("retrieveonlyresourcecount"):
        return {"count": len(rows)}
    minimal, userdata = "min" in wanted, call.flag("userdata")
    return page(call, "virtualmachine", rows, lambda machine: listed(call, machine, minimal, userdata))


def listed(call: Call, machine: Machine, minimal: bool, userdata: bool) -> Row:
    row = view(call, machine, minimal)
    if userdata and machine.userdata:
        row["userdata"] = machine.userdata
    return row


def sees_destroyed(call: Call) -> bool:
    return call.account.type != 0 or call.simulator.settings.flag("allow.user.view.destroyed.vm")


@command("getVirtualMachineUserData")
def get_userdata(call: Call) -> Row:
    machine = call.need("virtualmachineid", Machine)
    row: Row = {"virtualmachineid": machine.id}
    if machine.userdata:
        row["userdata"] = machine.userdata
    return {"virtualmachineuserdata": row}


@command("getVMPassword", "machine")
def get_password(call: Call) -> Row:
    machine = call.need("id", Machine)
    sealed = machine.details.get("Encrypted.Password")
    if not sealed:
        raise ApiError(
            431,
            f"No password found for VM [{described(machine)}]. When the VM's SSH keypair is changed, the current"
            " encrypted password is removed due to inconsistency in the encryption, as the new SSH keypair is different"
            " from which the password was encrypted. To get a new password, it must be reseted.",
        )
    return {"password": {"encryptedpassword": sealed}}


@command("listResourceDetails")
def list_resource_details(call: Call) -> Row:
    machine = call.world.machine.get(call.text("resourceid"))
    if (call.text("resourcetype") or "").lower() != "uservm" or machine is None or not call.reaches(machine):
        return {}
    wanted = call.text("key")
    rows = [
        {"resourceid": machine.id, "resourcetype": "UserVm", "key": key, "value": value, "fordisplay": True}
        for key, value in machine.details.items()
        if wanted is None or key == wanted
    ]
    return page(call, "resourcedetail", rows, lambda row: row)
