"""Public addresses: given out, listed, tied to a machine by static NAT, given back.

Apart from the rules that hang on them. Surprising: the first address of a network without source NAT becomes its
source NAT address, an association's job still shows `Allocating`, enabling static NAT is synchronous while
disabling it is a job, and an address keeps its id when it is free; and one that is reserved but serves nothing is
listed only to who asks for that state, even by id, and keeps its tags when it is given back.
"""

from __future__ import annotations

from .. import errors, limits
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import Filters, Test, check_page, page, same_id, select, visible_accounts
from ..model import Account, Machine, Network, Record, Row
from ..model_network import PublicIp, Vpc
from ..registry import command
from ..world import IN_NETWORK, date
from . import machines, net_rules, networks

FULL = "Insufficient address capacity"
CONFLICT = "Conflict: allocatedonly is true but state is Free"
NO_ZONE = "Unable to figure out zone to assign IP to. Please specify either zoneId, or networkId, or vpcId in the call"


def described(call: Call, address: PublicIp) -> str:
    zone = call.world.zone[address.zone].number
    return (
        f'IPAddress {{"address":"{address.address}","dataCenterId":{zone},"id":{address.number},"uuid":"{address.id}"}}'
    )


def view(call: Call, address: PublicIp) -> Row:
    world = call.world
    zone = world.zone[address.zone]
    row: Row = {"id": address.id, "ipaddress": address.address}
    if address.allocated is not None:
        row["allocated"] = date(address.allocated)
    row.update(zoneid=zone.id, zonename=zone.name, issourcenat=address.sourcenat)
    if address.account is not None:
        row.update(world.owner(address.account))
    row.update(forvirtualnetwork=True, isstaticnat=address.machine is not None, issystem=False)
    machine = world.machine.get(address.machine)
    if machine is not None:
        row.update(virtualmachineid=machine.id, virtualmachinetype="User", vmipaddress=address.inner)
        row.update(virtualmachinename=machine.name, virtualmachinedisplayname=machine.displayname)
    network = world.network.get(address.associated)
    if network is not None:
        row.update(associatednetworkid=network.id, associatednetworkname=network.name)
    row.update(networkid=address.network, state=address.state)
    vpc = world.vpc.get(address.vpc)
    if vpc is not None:
        row.update(vpcid=vpc.id, vpcname=vpc.name)
    row["physicalnetworkid"] = zone.row.get("physicalnetworkid") or address.network
    row.update(tags=world.tag_rows(address.id, IN_NETWORK), isportable=False)
    row["hasrules"] = any(rule.ip == address.id for rule in world.net_rule)
    row.update(forsystemvms=False, forprovider=False, hasannotations=False)
    return row


def allocate(call: Call, owner: Account, zone: Record, wanted: str | None = None) -> PublicIp:
    """Takes the first free address of a zone, or the wanted one if it is free or the owner has reserved it."""
    for address in call.world.public_ip:
        if (address.zone, address.address, address.state, address.account) == (zone.id, wanted, "Reserved", owner.id):
            return address  # which counts already
    limits.check(call.world, owner, {"public_ip": 1})
    for address in call.world.public_ip:
        if address.zone == zone.id and address.state == "Free" and wanted in (None, address.address):
            address.state, address.account = "Allocating", owner.id
            address.allocated = call.world.now()
            return address
    raise ApiError(533, FULL, 9999)


def ensure_source_nat(call: Call, network: Network) -> None:
    world = call.world
    if any(address.associated == network.id and address.sourcenat for address in world.public_ip):
        return
    address = allocate(call, world.account[str(network.account)], world.zone[network.zone])
    address.state, address.associated, address.sourcenat = "Allocated", network.id, True


def free(call: Call, address: PublicIp) -> None:
    """Gives an address back; its rules and its static NAT end with it."""
    address.machine = address.nic = address.inner = None
    net_rules.drop_of_address(call.world, address)
    if address.state != "Reserved":
        call.world.tags.pop(address.id, None)
    address.state, address.account, address.allocated = "Free", None, None
    address.associated = address.vpc = None
    address.sourcenat = False


def only_network(call: Call, owner: Account, zone: Record) -> Network:
    mine = [
        net
        for net in call.world.network
        if net.account == owner.id and net.zone == zone.id and net.vpc is None and net.row["type"] == "Isolated"
    ]
    if not mine:
        domain = call.world.domain[owner.domain].name
        text = f"Account name={owner.name} domain={domain} doesn't have virtual networks in zone={zone.name}"
        raise invalid(text)
    if len(mine) > 1:
        raise invalid("Account has more than one isolated network in the zone")
    return mine[0]


@command("associateIpAddress")
def associate(call: Call) -> Row:
    world = call.world
    vpc = call.need("vpcid", Vpc) if "vpcid" in call.args else None
    network = call.need("networkid", Network) if "networkid" in call.args and vpc is None else None
    zone = call.entity("zoneid", Record)
    owner = call.owner()
    if vpc is not None:
        zone, owner = world.zone[vpc.zone], world.account[vpc.account]
    elif network is not None:
        if network.account is None:
            raise invalid(
                "Associate IP address can only be called on the shared networks in the advanced zone with"
                " Firewall/Source Nat/Static Nat/Port Forwarding/Load balancing services enabled"
            )
        zone, owner = world.zone[network.zone], world.account[network.account]
    elif zone is None:
        raise invalid(NO_ZONE)
    else:
        network = only_network(call, owner, zone)
    address = allocate(call, owner, zone, call.text("ipaddress"))
    address.vpc = vpc.id if vpc else None
    if network is not None:
        serve(call, address, network)

    def work() -> Steps:
        if vpc is not None:
            address.state = "Allocated"
        row = view(call, address)
        yield 0.1
        address.state = "Allocated" if address.account else "Free"
        return {"ipaddress": row}

    def undo() -> None:
        free(call, address)

    job = call.submit(work, address, on_failure=undo)
    return {"id": address.id, "jobid": job.id}


def serve(call: Call, address: PublicIp, network: Network) -> None:
    """Ties an address to a network; the first one of a network with source NAT is for that."""
    if network.vpc is not None:
        address.vpc = network.vpc
        return
    has_one = any(other.associated == network.id and other.sourcenat for other in call.world.public_ip)
    address.sourcenat = not has_one and networks.has_service(call.world, network, "SourceNat")
    address.associated = network.id


FILTERS: Filters = {
    "id": same_id("id"),
    "zoneid": same_id("zone"),
    "ipaddress": lambda address, wanted: address.address == wanted,
    "associatednetworkid": same_id("associated"),
    "networkid": lambda address, wanted: getattr(wanted, "id", None) in (address.associated, address.network),
    "vpcid": same_id("vpc"),
    "issourcenat": lambda address, wanted: address.sourcenat is wanted,
    "isstaticnat": lambda address, wanted: (address.machine is not None) is wanted,
    "forvirtualnetwork": lambda address, wanted: wanted is True,
    "forsystemvms": lambda address, wanted: wanted is False,
    "forprovider": lambda address, wanted: wanted is False,
    "state": lambda address, wanted: address.state.lower() == str(wanted).lower(),
}


def for_balancing(call: Call) -> Test:
    """Addresses that a load balancer could use: those with one already, or with nothing at all."""
    world = call.world
    balanced = {rule.ip for rule in world.net_rule if rule.purpose == net_rules.BALANCING}
    other = {rule.ip for rule in world.net_rule if rule.purpose == net_rules.FORWARDING}
    return lambda address, wanted: (
        not wanted or address.id in balanced or (address.id not in other and address.machine is None)
    )


@command("listPublicIpAddresses", "public_ip")
def list_addresses(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    state = (call.text("state") or "").lower()
    unused = state in ("free", "reserved")
    if unused and call.flag("allocatedonly", False):
        raise invalid(CONFLICT)
    with_free = unused or not call.flag("allocatedonly", True)
    rows = [
        address
        for address in call.world.public_ip
        if not address.system
        and (with_free or state or address.state == "Allocated")
        and (mine(address.account) if address.account is not None else with_free)
    ]
    rows = select(call, rows, {**FILTERS, "forloadbalancing": for_balancing(call)}, lambda address: (address.address,))
    if call.flag("retrieveonlyresourcecount"):
        return {"count": len(rows)}
    return page(call, "publicipaddress", rows, lambda address: view(call, address))


@command("updateIpAddress", "public_ip")
def update(call: Call) -> Row:
    address = net_rules.need_allocated(call, "id")
    if call.text("customid") and not call.is_root:
        raise errors.denied("Please check your permissions, you are not allowed to create/update custom id")

    def work() -> Steps:
        yield 0.1
        return {"ipaddress": view(call, address)}

    return call.later(work, address)


@command("disassociateIpAddress", "public_ip")
def disassociate(call: Call) -> Row:
    asked = call.text("ipaddress")
    if "id" not in call.args and asked:
        address = next((one for one in call.world.public_ip if one.address == asked and one.account), None)
        if address is None:
            raise invalid(f"Unable to find ip address {asked}")
        call.unchecked.append(address)
    else:
        address = net_rules.need_allocated(call, "id")
    network = call.world.network.get(address.associated)

    def work() -> Steps:
        if address.sourcenat and (network is None or network.row["state"] != "Allocated"):
            text = "ip address is used for source nat purposes and can not be disassociated."
            raise ApiError(530, text)
        yield 0.1
        free(call, address)
        return {"success": True}

    return call.later(work, address)


def failed(address: PublicIp, machine: Machine, held: PublicIp) -> ApiError:
    return invalid(
        f"Failed to enable static nat on the  ip {address.address} with Id {address.id} as the vm"
        f" {machines.instance_name(machine)} with Id {machine.id} is already associated with another public ip"
        f" {held.address} with id {held.id}"
    )


@command("enableStaticNat")
def enable(call: Call) -> Row:
    address, machine = net_rules.need_allocated(call, "ipaddressid"), call.need("virtualmachineid", Machine)
    network = net_rules.network_of(call, address, machine)
    nic = net_rules.nic_on(call, machine, network)
    if nic is None:
        raise invalid("Vm doesn't belong to the network with specified id")
    check_free_for_nat(call, address, machine)
    held = next((one for one in call.world.public_ip if one.nic == nic.id), None)
    if held is not None:
        raise failed(address, machine, held)
    inner = call.text("vmguestip")
    known = [nic.ip, *(call.world.secondary_ip[key].ipaddress for key in nic.secondary)]
    if inner is not None and inner not in known:
        raise invalid(f"VM ip {inner} address not belongs to the vm")
    address.machine, address.nic, address.inner = machine.id, nic.id, inner or nic.ip
    if address.vpc is not None:
        address.associated = network.id
    return {"success": True}


def check_free_for_nat(call: Call, address: PublicIp, machine: Machine) -> None:
    shown = described(call, address)
    if address.sourcenat:
        raise invalid(f"Can't enable static, ip address {shown} is a sourceNat ip address")
    if address.machine is None:
        for purpose in (net_rules.FORWARDING, net_rules.BALANCING):
            if any(rule.ip == address.id and rule.purpose == purpose for rule in call.world.net_rule):
                text = f"Failed to enable static nat for the ip address {shown} as it already has {purpose} rules"
                raise ApiError(537, f"{text} assigned", 9999)
    elif address.machine != machine.id:
        text = f"Failed to enable static for the ip address {shown} and vm id={machine.number} as it's already"
        raise ApiError(537, f"{text} assigned to antoher vm", 9999)


@command("disableStaticNat")
def disable(call: Call) -> Row:
    address = net_rules.need_allocated(call, "ipaddressid")
    call.unchecked.clear()  # whose it is comes second

    def work() -> Steps:
        if address.machine is None:
            raise invalid("Specified IP address id is not associated with any vm Id")
        if not call.reaches(address):
            raise ApiError(530, errors.DENIED)
        yield 0.1
        address.machine = address.nic = address.inner = None
        for rule in [one for one in call.world.net_rule if one.ip == address.id]:
            net_rules.drop(call.world, rule)
        net_rules.detach(call.world, address)
        return {"success": True}

    return call.later(work, key=address.id)


@command("reserveIpAddress", "public_ip")
def reserve(call: Call) -> Row:
    """Nobody else gets a reserved address; it serves nothing until it is associated with a network or a VPC."""
    address, owner = call.entity("id", PublicIp), call.owner()
    if address is None:
        raise errors.missing(call.api.name, "id")
    if address.state == "Reserved" and address.account != owner.id:
        raise invalid("Unable to reserve a IP because it has already been reserved for another account.")
    if address.state not in ("Free", "Reserved"):
        raise invalid(f"Unable to reserve a IP in {address.state} state.")
    if address.state == "Free":
        limits.check(call.world, owner, {"public_ip": 1})
        address.state, address.account, address.allocated = "Reserved", owner.id, call.world.now()
    return {"ipaddress": view(call, address)}


@command("releaseIpAddress", "public_ip")
def release(call: Call) -> Row:
    address = call.entity("id", PublicIp)
    if address is None:
        raise errors.missing(call.api.name, "id")
    if address.state == "Allocated":
        text = "Unable to release a public IP in Allocated state, please use disassociateIpAddress instead"
        raise invalid(text)
    call.check_access(address)
    free(call, address)
    return {"success": True}
