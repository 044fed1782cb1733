"""Virtual machines as they are shown: the row, listVirtualMachines and what else only reads.

Apart from their life and their changes. Surprising: a destroyed machine is invisible to users at once but
still holds its name, address, groups and root volume, and `details=min` shows only one of several security
groups.
"""

from __future__ import annotations

from ..call import Call
from ..errors import ApiError, invalid
from ..lists import ID_FILTERS, Filters, check_page, like, name_is, page, same_id, select, visible_accounts
from ..model import Machine, Nic, Record, Row, SecurityGroup
from ..model_network import PublicIp
from ..registry import command
from ..seed_infrastructure import host_row
from ..world import date
from . import networks

DETAILS = (
    "all",
    "group",
    "nics",
    "stats",
    "secgrp",
    "tmpl",
    "servoff",
    "diskoff",
    "backoff",
    "iso",
    "volume",
    "min",
    "affgrp",
    "vnfnics",
)
# Details that only root sees in a list.
HIDDEN_DETAILS = frozenset({"rootdisksize", "Message.ReservedCapacityFreed.Flag"})
READONLY = "dataDiskController, rootDiskController"
ALL = frozenset({"all"})
GONE = frozenset({"Destroyed", "Expunging"})


def described(machine: Machine, state: str | None = None) -> str:
    """How CloudStack prints a machine inside its error texts."""
    name, state = instance_name(machine), state or machine.state
    return (
        f'VM instance {{"id":{machine.number},"instanceName":"{name}","state":"{state}",'
        f'"type":"User","uuid":"{machine.id}"}}'
    )


def instance_name(machine: Machine) -> str:
    return f"i-4-{machine.number}-VM"


def nic_row(call: Call, nic: Nic, with_secondary: bool = True) -> Row:
    network = call.world.network[nic.network]
    row: Row = {"id": nic.id, "networkid": network.id, "networkname": network.name}
    if nic.ip:
        row.update(netmask=network.netmask, gateway=network.gateway, ipaddress=nic.ip)
    if (address6 := networks.address6(call.world, nic)) is not None:
        more = {name: network.row[name] for name in ("ip6cidr", "ip6gateway") if name in network.row}
        row.update(ip6address=address6, **more)
    if network.vlan is not None and (nic.wired or network.account is not None):
        row["isolationuri"] = row["broadcasturi"] = f"vlan://{network.vlan}"
    elif nic.wired and network.account is None:
        row["broadcasturi"] = "vlan://untagged"
    row.update(traffictype="Guest", type=network.row["type"], isdefault=nic.deviceid == 0)
    if nic.ip and nic.mac:
        row["macaddress"] = nic.mac
    if with_secondary or nic.secondary:
        row["secondaryip"] = [{"id": key, "ipaddress": call.world.secondary_ip[key].ipaddress} for key in nic.secondary]
    row["extradhcpoption"] = []
    row["deviceid"] = str(nic.deviceid)
    public = public_address(call, nic)
    if public is not None:
        row.update(publicipid=public.id, publicip=public.address)
    vpc = call.world.vpc.get(network.vpc)
    if vpc is not None:
        row.update(vpcid=vpc.id, vpcname=vpc.name)
    return row


def public_address(call: Call, nic: Nic) -> PublicIp | None:
    """The address that static NAT leads to this nic."""
    if call.static_nat is None:
        call.static_nat = {one.nic: one for one in call.world.public_ip if one.nic is not None}
    return call.static_nat.get(nic.id)


def group_row(group: SecurityGroup, owner: Row) -> Row:
    row: Row = {"id": group.id, "name": group.name}
    if group.description:
        row["description"] = group.description
    row.update((key, owner[key]) for key in ("account", "projectid", "project") if key in owner)
    row.update(ingressrule=[], egressrule=[], tags=[], virtualmachineids=[])
    return row


def catalogue_part(call: Call, machine: Machine, wanted: frozenset[str]) -> Row:
    """Template, offerings and sizes, each only if asked for."""
    world, full = call.world, "all" in wanted
    row: Row = {}
    if full or "tmpl" in wanted:
        template = world.template[machine.template]
        row["templateid"] = template.id
        row["templatename"] = template.name
        row["templatetype"] = template.row["templatetype"]
        row["templateformat"] = template.row["format"]
        row["templatedisplaytext"] = template.row["displaytext"]
        row["passwordenabled"] = template.row["passwordenabled"]
    if full or "servoff" in wanted:
        offering = world.service_offering[machine.offering]
        row.update(serviceofferingid=offering.id, serviceofferingname=offering.name)
    disk = data_offering(call, machine) if full or "diskoff" in wanted else None
    if disk is not None:
        row.update(diskofferingid=disk.id, diskofferingname=disk.name)
    if full or "servoff" in wanted or "stats" in wanted:
        row.update(cpunumber=machine.cpunumber, cpuspeed=machine.cpuspeed, memory=machine.memory)
    return row


def data_offering(call: Call, machine: Machine) -> Record | None:
    """The disk offering a machine shows is that of its first data disk."""
    if call.data_disks is None:
        call.data_disks = {}
        for volume in call.world.volume:
            if volume.type != "ROOT" and volume.machine and volume.disk_offering:
                call.data_disks.setdefault(volume.machine, volume.disk_offering)
    return call.world.disk_offering.get(call.data_disks.get(machine.id))


def view(call: Call, machine: Machine, wanted: frozenset[str] = ALL) -> Row:
    full = "all" in wanted
    world, is_root = call.world, call.is_root
    owner, user, zone = world.owner(machine.account), world.user[machine.user], world.zone[machine.zone]
    row: Row = {"id": machine.id, "name": machine.name, "displayname": machine.displayname}
    row.update((key, owner[key]) for key in ("account", "projectid", "project") if key in owner)
    row.update(userid=user.id, username=user.name)
    row.update((key, owner[key]) for key in ("domainid", "domain", "domainpath"))
    row["created"] = date(machine.created)
    if machine.lastupdated is not None:
        row["lastupdated"] = date(machine.lastupdated)
    row.update(state=machine.state, haenable=machine.ha)
    if machine.group and (full or "group" in wanted):
        row.update(groupid=machine.group, group=world.instance_group[machine.group].name)
    row.update(zoneid=zone.id, zonename=zone.name)
    if machine.host is not None:
        if is_root:
            row["hostid"], row["hostname"] = host_row(machine.host, zone.id)
        row["hostcontrolstate"] = "Enabled"
    row.update(catalogue_part(call, machine, wanted))
    row["guestosid"] = machine.ostype
    if full or "volume" in wanted:
        row.update(rootdeviceid=0, rootdevicetype="ROOT")
    groups = [group_row(world.security_group[key], owner) for key in machine.groups]
    # What was not asked for is still there but for the first of the rows that the database joined: a
    # machine with one
    # group shows neither group nor nic nor address in `details=min`, one with two groups the second
    # and the nic.
    row["securitygroup"] = groups if full or "secgrp" in wanted else groups[1:]
    nics = [world.nic[key] for key in machine.nics]
    wired = full or "nics" in wanted or len(groups) > 1
    row["nic"] = [nic_row(call, nic) for nic in nics] if wired else []
    row["hypervisor"] = "Simulator"
    if wired and nics and nics[0].ip:
        row["ipaddress"] = nics[0].ip
    public = public_address(call, nics[0]) if wired and nics else None
    if public is not None:
        row.update(publicipid=public.id, publicip=public.address)
    row.update(tail(call, machine, full or "affgrp" in wanted))
    return call.mark(row, machine.id)


def tail(call: Call, machine: Machine, with_affinity: bool) -> Row:
    world, is_root = call.world, call.is_root
    row: Row = {}
    if is_root:
        row.update(instancename=instance_name(machine), details=machine.details)
    else:
        row["details"] = {key: value for key, value in machine.details.items() if key not in HIDDEN_DETAILS}
        row["readonlydetails"] = READONLY
    if machine.keypairs:
        row["keypairs"] = ",".join(machine.keypairs)
    row["affinitygroup"] = affinity_rows(call, machine)[0 if with_affinity else 1 :]
    if machine.userdata_id:
        registered = world.user_data[machine.userdata_id]
        row.update(userdataid=registered.id, userdataname=registered.name)
    scaled = world.scale_group.get(machine.scale_group)
    if scaled is not None:
        row.update(autoscalevmgroupid=scaled.id, autoscalevmgroupname=scaled.name)
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


def affinity_rows(call: Call, machine: Machine) -> list[Row]:
    rows: list[Row] = []
    for key in machine.affinity:
        group = call.world.affinity_group[key]
        row: Row = {"id": group.id, "name": group.name}
        if group.description:
            row["description"] = group.description
        owner = call.world.owner(group.account)
        row.update((name, owner[name]) for name in ("account", "projectid", "project") if name in owner)
        rows.append(row)
    return rows


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
    "groupid": same_id("group"),
    "affinitygroupid": lambda machine, wanted: getattr(wanted, "id", None) in machine.affinity,
    "userdataid": same_id("userdata_id"),
    "autoscalevmgroupid": same_id("scale_group"),
    "hypervisor": lambda machine, wanted: str(wanted).lower() == "simulator",
    "haenable": lambda machine, wanted: machine.ha is wanted,
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
    shown, userdata = frozenset(wanted) or ALL, call.flag("userdata")
    return page(call, "virtualmachine", rows, lambda machine: listed(call, machine, shown, userdata))


def listed(call: Call, machine: Machine, wanted: frozenset[str], userdata: bool) -> Row:
    row = view(call, machine, wanted)
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
            f"No password found for VM [{described(machine)}]. When the VM's SSH keypair is changed,"
            f" the current"
            " encrypted password is removed due to inconsistency in the encryption, as the new SSH"
            " keypair is different"
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
