"""The life of an isolated network: made, implemented when its first machine starts, given back when idle, deleted.

Apart from listing networks. Surprising: making one is synchronous and starts nothing; the first machine brings a
VLAN and a public address for source NAT; and a gateway without a netmask is ignored in silence.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import TYPE_CHECKING

from .. import errors, limits
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..model import Account, Network, Record, Row
from ..model_network import AclList, Vpc
from ..params import Ghost
from ..registry import command
from ..world import date
from . import catalogue, net_rules, networks, public_ips

if TYPE_CHECKING:
    from ..simulator import Simulator

DEFAULT = IPv4Network("10.1.1.0/24")
LONGEST = 22  # guest.vlan … network.guest.cidr.limit as shipped
PRIVATE = tuple(ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
BAD_GATEWAY = "Invalid gateway IP provided. Either the IP is broadcast or network IP."
MAY_NOT = "This user can only create an Isolated network, a L2 network or a Shared network with specifyVlan=false."
SOURCE_NAT_OFFERING = "DefaultIsolatedNetworkOfferingWithSourceNatService"


def asked_range(call: Call) -> tuple[str, IPv4Network] | None:
    """Gateway and range of the new network; None unless both gateway and netmask were given."""
    gateway, netmask = call.text("gateway"), call.text("netmask")
    if not gateway or not netmask:
        return None
    try:
        address = IPv4Address(gateway)
    except ValueError:
        raise invalid("Invalid gateway") from None
    try:
        IPv4Address(netmask)
    except ValueError:
        raise invalid("Invalid netmask") from None
    try:
        found = IPv4Network(f"{gateway}/{netmask}", strict=False)
    except ValueError:
        raise invalid(BAD_GATEWAY) from None
    if address in (found.network_address, found.broadcast_address):
        raise invalid(BAD_GATEWAY)
    return gateway, found


def is_private(net: IPv4Network) -> bool:
    return any(net.subnet_of(one) for one in PRIVATE if isinstance(one, IPv4Network))


def check_offering(call: Call, zone: Record, offering: Record) -> None:
    if zone.row["networktype"] == "Basic":
        raise invalid("Only AclType=Domain can be specified for network creation in Basic zone")
    if offering.row["specifyvlan"] or offering.row["guestiptype"] == "Shared":
        raise invalid(MAY_NOT)
    if not catalogue.usable(offering, zone):
        raise errors.hidden(f"Network offering {offering.name} needs a provider that zone {zone.name} lacks")


def check_tier(call: Call, vpc: Vpc, offering: Record, chosen: tuple[str, IPv4Network] | None) -> AclList | None:
    if not offering.row.get("forvpc"):
        raise invalid("Network offering can't be used for VPC networks")
    acl = call.entity("aclid", AclList)
    if acl is not None and acl.vpc not in (None, vpc.id):
        raise invalid(f"ACL [{acl.id}] does not belong to the VPC [{vpc.id}].")
    if chosen is None:
        raise errors.hidden("Gateway/netmask are required when create network for VPC")
    net = chosen[1]
    if not net.subnet_of(IPv4Network(vpc.cidr)):
        raise errors.hidden(f"Network cidr {net} is not within vpc {vpc.name} cidr")
    for other in call.world.network:
        if other.vpc == vpc.id and net.overlaps(IPv4Network(other.cidr)):
            raise errors.hidden(f"Network cidr {net} crosses other network cidr {other.name}")
    return acl


@command("createNetwork")
def create(call: Call) -> Row:
    zone, offering = call.need("zoneid", Record), call.need("networkofferingid", Record)
    owner = call.owner()
    check_offering(call, zone, offering)
    chosen = asked_range(call)
    vpc = call.need("vpcid", Vpc) if "vpcid" in call.args else None
    if chosen is not None and chosen[1].prefixlen < LONGEST:
        raise invalid(f"Cidr size can't be less than {LONGEST}")
    if chosen is not None and not is_private(chosen[1]):
        raise invalid(f"Virtual Guest Cidr {chosen[1]} is not RFC 1918 or 6598 compliant")
    acl = check_tier(call, vpc, offering, chosen) if vpc else None
    if vpc is None and offering.row.get("forvpc"):
        raise invalid("Network offering can be used for VPC networks only")
    name = call.text("name") or ""
    network = make(call, owner, zone, offering, name, chosen)
    network.row["displaytext"] = call.text("displaytext") or name
    network.row["networkdomain"] = call.text("networkdomain") or network.row["networkdomain"]
    if vpc is not None:
        network.vpc, network.acl = vpc.id, acl.id if acl else None
        network.row["networkdomain"] = vpc.networkdomain
        network.row.pop("egressdefaultpolicy", None)
    return {"network": networks.view(call, network)}


def make(
    call: Call,
    owner: Account,
    zone: Record,
    offering: Record,
    name: str,
    chosen: tuple[str, IPv4Network] | None = None,
) -> Network:
    world = call.world
    limits.check(world, owner, {"network": 1})
    gateway, net = chosen or (str(DEFAULT[1]), DEFAULT)
    kind = str(offering.row["guestiptype"])
    ends = ("", "", "") if kind == "L2" else (str(net), gateway, str(net.netmask))
    key = world.uuid()
    network = Network(key, world.network.take_number(), name, zone.id, {}, owner.id, *ends, offering=offering.id)
    names = networks.service_names(call.world, network)
    row: Row = {"id": key, "name": name, "displaytext": name, "broadcastdomaintype": "Vlan", "traffictype": "Guest"}
    if kind != "L2":
        row.update(gateway=gateway, netmask=str(net.netmask), cidr=str(net))
    row.update(zoneid=zone.id, zonename=zone.name, **offering_fields(offering), issystem=False, state="Allocated")
    row.update(related=key, dns1="8.8.8.8", dns2="8.8.4.4", type=kind, acltype="Account")
    row.update(networkdomain=zone.row["networkdomain"], restartrequired=False, canusefordeploy=True)
    row.update(specifyvlan=False, specifyipranges=False, ispersistent=offering.row.get("ispersistent", False))
    if zone.row.get("physicalnetworkid"):
        row["physicalnetworkid"] = zone.row["physicalnetworkid"]
    row.update(strechedl2subnet=False, redundantrouter=False, supportsvmautoscaling="Lb" in names)
    row.update(created=date(world.now()), receivedbytes=0, sentbytes=0)
    if "egressdefaultpolicy" in offering.row:
        row["egressdefaultpolicy"] = offering.row["egressdefaultpolicy"]
    row.update(publicmtu=1500, privatemtu=1500, hasannotations=False)
    network.row = row
    return world.network.add(network)


def offering_fields(offering: Record) -> Row:
    return {
        "networkofferingid": offering.id,
        "networkofferingname": offering.name,
        "networkofferingdisplaytext": offering.row["displaytext"],
        "networkofferingconservemode": offering.row["conservemode"],
        "networkofferingavailability": offering.row["availability"],
    }


def automatic(call: Call, owner: Account, zone: Record) -> Network:
    """The network of a deploy that names none: the only one the account has, or a new one under its name."""
    mine = source_nat_networks(call, owner, zone)
    if len(mine) > 1:
        shown = f'[{{"accountName":"{owner.name}","id":{owner.number},"uuid":"{owner.id}"}}]'
        raise invalid(
            f"More than 1 default Isolated networks are found for account Account {shown}; please specify networkIds"
        )
    if mine:
        return mine[0]
    offering = next(one for one in call.world.network_offering if one.name == SOURCE_NAT_OFFERING)
    return make(call, owner, zone, offering, f"{owner.name}-network")


def source_nat_networks(call: Call, owner: Account, zone: Record) -> list[Network]:
    return [
        net
        for net in call.world.network
        if net.account == owner.id
        and net.zone == zone.id
        and net.vpc is None
        and net.row["type"] == "Isolated"
        and networks.has_service(call.world, net, "SourceNat")
    ]


def begin(call: Call, network: Network) -> None:
    """The first machine starts: a VLAN and, if the network needs one, a public address for source NAT."""
    network.idle = None
    if network.row["type"] != "Isolated" or network.vlan is not None:
        return
    taken = {net.vlan for net in call.world.network}
    free = [number for number in range(300, 1101) if number not in taken]
    if not free:
        raise ApiError(533, "Unable to allocate vnet as a part of network implement", None)
    if network.vpc is None and networks.has_service(call.world, network, "SourceNat"):
        public_ips.ensure_source_nat(call, network)
    network.vlan = call.world.random.choice(free)
    network.row["state"] = "Implementing"


def implemented(network: Network) -> None:
    if network.row["state"] == "Implementing":
        network.row["state"] = "Implemented"


def give_up(network: Network) -> None:
    """What a first start that came to nothing leaves."""
    if network.row["state"] == "Implementing":
        network.row["state"], network.vlan = "Allocated", None


def watch(call: Call, network: Network) -> None:
    """After a machine went down: starts the clock of an isolated network on which nothing runs any more."""
    if network.row["type"] != "Isolated" or network.vlan is None:
        return
    world = call.world
    nics = (nic for nic in world.nic if nic.network == network.id)
    if any(world.machine[nic.machine].state in ("Running", "Starting", "Stopping") for nic in nics):
        return
    give_up(network)
    if network.vlan is not None and network.idle is None:
        network.idle = world.now()


def collect(simulator: Simulator) -> None:
    """What the network garbage collector does: idle networks give their VLAN back and keep everything else."""
    wait, now = simulator.settings.number("network.gc.wait"), simulator.world.now()
    for network in simulator.world.network:
        if network.idle is not None and network.idle + wait <= now:
            network.row["state"], network.vlan, network.idle = "Allocated", None, None
            simulator.jobs.changed = True


@command("updateNetwork", "network")
def update(call: Call) -> Row:
    network = owned(call)

    def work() -> Steps:
        offering = call.entity("networkofferingid", Record)
        if offering is not None and bool(offering.row.get("forvpc")) != (network.vpc is not None):
            raise invalid("Network offering can't be used for VPC networks")
        yield 0.1
        network.name = call.text("name") or network.name
        network.row["name"] = network.name
        for key in ("displaytext", "networkdomain"):
            network.row[key] = call.text(key) or network.row[key]
        if offering is not None:
            network.offering = offering.id
            network.row.update(offering_fields(offering))
        return {"network": networks.view(call, network)}

    return call.later(work, network)


def owned(call: Call) -> Network:
    """The network a command changes; the operator's networks belong to nobody who may."""
    network = call.need("id", Network)
    if network.account is None and not call.is_root:
        raise errors.denied()
    return network


@command("restartNetwork", "network")
def restart(call: Call) -> Row:
    network = owned(call)

    def work() -> Steps:
        if network.row["state"] not in ("Implemented", "Setup"):
            text = "Network is not in the right state to be restarted. Correct states are: Implemented, Setup"
            raise invalid(text)
        yield 0.5
        return {"success": True}

    return call.later(work, network)


@command("deleteNetwork", "network")
def delete(call: Call) -> Row:
    ghost = call.args.get("id")
    if isinstance(ghost, Ghost):
        raise invalid(f"Network ID={ghost.number} doesn't exist")
    network = owned(call)

    def work() -> Steps:
        if network.account is None or any(nic.network == network.id for nic in call.world.nic):
            raise ApiError(530, "Failed to delete network")
        yield 0.3
        destroy(call, network)
        return {"success": True}

    return call.later(work, network)


def destroy(call: Call, network: Network) -> None:
    world = call.world
    net_rules.drop_of_network(call, network)
    for address in world.public_ip:
        if address.associated == network.id and address.vpc is None:
            public_ips.free(call, address)
        elif address.associated == network.id:
            address.associated = None
    world.tags.pop(network.id, None)
    world.network.remove(network)
