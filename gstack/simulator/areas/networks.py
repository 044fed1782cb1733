"""Guest networks as they are shown: the row and listNetworks.

Apart from what changes them. Surprising: `name` filters although older clients know it as undeclared, networks
of every account share one listing with the operator's, newest first, and even root sees foreign networks only
with `listall`.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Network

from ..call import Call
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, same_name, select
from ..model import Entity, Network, Nic, Row
from ..params import Ghost
from ..registry import command
from ..world import IN_NETWORK, World


def services(world: World, network: Network) -> object:
    """What a network shows of its services; recorded ones with capabilities, others as their offering has them."""
    known = world.network_services.get(network.offering or "")
    if known is not None:
        return known
    offering = world.network_offering.get(network.offering)
    return offering.row.get("service", []) if offering else []


def service_names(world: World, network: Network) -> frozenset[str]:
    rows = services(world, network)
    return frozenset(str(row["name"]) for row in rows) if isinstance(rows, list) else frozenset()


def address6(world: World, nic: Nic) -> str | None:
    """The IPv6 address of a nic: what a guest makes of its hardware address in the /64 of its network (EUI-64), if that
    has one."""
    cidr = world.network[nic.network].row.get("ip6cidr")
    if not cidr or not nic.mac or not nic.ip:
        return None
    first, *rest = bytes.fromhex(nic.mac.replace(":", ""))
    token = bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
    return str(IPv6Network(str(cidr))[int.from_bytes(token, "big")])


def has_service(world: World, network: Network, name: str) -> bool:
    return name in service_names(world, network)


def view(call: Call, network: Network) -> Row:
    row = {**network.row, "service": services(call.world, network)}
    row["tags"] = call.world.tag_rows(network.id, IN_NETWORK)
    if network.account is None:
        return row
    row.update(call.world.owner(network.account))
    vpc = call.world.vpc.get(network.vpc)
    if vpc is not None:
        row.update(vpcid=vpc.id, vpcname=vpc.name)
    acl = call.world.acl.get(network.acl)
    if acl is not None:
        row.update(aclid=acl.id, aclname=acl.name)
    return row


FILTERS: Filters = {
    **ID_FILTERS,
    "zoneid": same_id("zone"),
    "vpcid": same_id("vpc"),
    "type": lambda net, wanted: str(net.row["type"]).lower() == str(wanted).lower(),
    "traffictype": lambda net, wanted: str(net.row["traffictype"]).lower() == str(wanted).lower(),
    "acltype": lambda net, wanted: str(net.row["acltype"]).lower() == str(wanted).lower(),
    "canusefordeploy": lambda net, wanted: net.row["canusefordeploy"] is wanted,
    "restartrequired": lambda net, wanted: net.row["restartrequired"] is wanted,
    "specifyipranges": lambda net, wanted: net.row["specifyipranges"] is wanted,
    "forvpc": lambda net, wanted: (net.vpc is not None) is wanted,
    "networkofferingid": same_id("offering"),
    "physicalnetworkid": lambda net, wanted: net.row.get("physicalnetworkid") == getattr(wanted, "id", None),
    "issystem": lambda net, wanted: wanted is False,
}


def visible(call: Call) -> Callable[[Network], bool]:
    """The operator's networks and those of the accounts the call asks about."""
    world, caller = call.world, call.account
    project = call.args.get("projectid")
    if isinstance(project, Ghost):
        mine = {p.account for p in world.project if caller.id in p.members}
        return lambda net: net.account is None or net.account in mine
    if isinstance(project, Entity):
        call.check_access(project)
        return lambda net: net.account is None or net.account == getattr(project, "account", None)
    named = call.named_account()
    if named is not None:
        return lambda net: net.account is None or net.account == named.id
    if call.flag("listall") and caller.type != 0:
        return lambda net: net.account is None or call.rules(world.account[net.account])
    return lambda net: net.account is None or net.account == caller.id


@command("listNetworks", "network")
def list_networks(call: Call) -> Row:
    check_page(call)
    seen = visible(call)
    rows = [net for net in reversed(list(call.world.network)) if seen(net)]
    name = call.raw.get("name")
    if name is not None:
        rows = [net for net in rows if same_name(net.name, name)]
    wanted = call.words("supportedservices")
    if wanted:
        rows = [net for net in rows if set(wanted) <= service_names(call.world, net)]
    rows = select(call, rows, FILTERS, lambda net: (net.name, str(net.row["displaytext"])))
    if call.flag("retrieveonlyresourcecount"):
        return {"count": len(rows)}
    return page(call, "network", rows, lambda net: view(call, net))
