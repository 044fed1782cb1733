"""Private gateways of a VPC and its static routes.

Apart from VPCs, because only root makes gateways and users only see them. Surprising: a user who tries is refused
as if the VLAN had not been given, and users never see that VLAN.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from .. import errors
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, select, visible_accounts
from ..model import Row
from ..model_network import AclList, Gateway, StaticRoute, Vpc
from ..registry import command
from ..world import IN_NETWORK

LINK_LOCAL = IPv4Network("169.254.0.0/16")


def gateway_row(call: Call, gateway: Gateway) -> Row:
    world = call.world
    vpc, acl = world.vpc[gateway.vpc], world.acl[gateway.acl]
    zone = world.zone[vpc.zone]
    row: Row = {"id": gateway.id, "gateway": gateway.gateway, "netmask": gateway.netmask}
    row.update(ipaddress=gateway.ipaddress, zoneid=zone.id, zonename=zone.name)
    if call.is_root:
        row["vlan"] = gateway.vlan
    row.update(vpcid=vpc.id, vpcname=vpc.name, physicalnetworkid=zone.row["physicalnetworkid"])
    row.update(world.owner(gateway.account), state=gateway.state, sourcenatsupported=gateway.sourcenat)
    row.update(aclid=acl.id, aclname=acl.name)
    return row


@command("createPrivateGateway")
def create_gateway(call: Call) -> Row:
    world, vpc = call.world, call.need("vpcid", Vpc)
    vlan, address = call.text("vlan"), call.text("ipaddress") or ""
    if not call.is_root or not vlan:
        raise invalid("One of vlanId and associatedNetworkId must be specified")
    asked = call.entity("aclid", AclList)
    if asked is not None and asked.vpc not in (None, vpc.id):
        raise invalid("Private gateway and network acl are not in the same vpc.")
    acl = asked or next(one for one in world.acl if one.name == "default_deny" and one.vpc is None)
    if any(one.vpc == vpc.id and one.ipaddress == address for one in world.gateway):
        raise invalid(f"Private ip address {address} already used for private gateway in zone")
    gateway = Gateway(
        id=world.uuid(),
        number=world.gateway.take_number(),
        vpc=vpc.id,
        account=vpc.account,
        gateway=call.text("gateway") or "",
        netmask=call.text("netmask") or "",
        ipaddress=address,
        vlan=vlan if vlan.startswith("vlan://") else f"vlan://{vlan}",
        acl=acl.id,
        sourcenat=call.flag("sourcenatsupported"),
    )
    world.gateway.add(gateway)

    def work() -> Steps:
        yield 0.3
        return {"privategateway": gateway_row(call, gateway)}

    job = call.submit(work, gateway, on_failure=lambda: world.gateway.remove(gateway))
    return {"id": gateway.id, "jobid": job.id}


GATEWAYS: Filters = {
    **ID_FILTERS,
    "vpcid": same_id("vpc"),
    "ipaddress": lambda gateway, wanted: gateway.ipaddress == wanted,
    "vlan": lambda gateway, wanted: gateway.vlan in (wanted, f"vlan://{wanted}"),
    "state": lambda gateway, wanted: gateway.state.lower() == str(wanted).lower(),
}


@command("listPrivateGateways", "gateway")
def list_gateways(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [one for one in call.world.gateway if mine(one.account)]
    rows = select(call, rows, GATEWAYS, lambda gateway: (gateway.ipaddress,))
    return page(call, "privategateway", rows, lambda gateway: gateway_row(call, gateway))


@command("deletePrivateGateway", "gateway")
def delete_gateway(call: Call) -> Row:
    gateway = call.need("id", Gateway)

    def work() -> Steps:
        if any(route.gateway == gateway.id for route in call.world.static_route):
            text = f"Can't delete private gateway {gateway.id} as it has static routes. Please remove the routes first"
            raise ApiError(530, text)
        yield 0.3
        call.world.gateway.remove(gateway)
        return {"success": True}

    return call.later(work, gateway)


def route_row(call: Call, route: StaticRoute) -> Row:
    world = call.world
    row: Row = {"id": route.id, "state": route.state, "vpcid": route.vpc}
    gateway = world.gateway.get(route.gateway)
    if gateway is not None:
        row.update(vpcgatewayid=gateway.id, vpcgatewayip=gateway.ipaddress)
    if route.nexthop is not None:
        row["nexthop"] = route.nexthop
    row.update(cidr=route.cidr, **world.owner(route.account))
    row["tags"] = world.tag_rows(route.id, IN_NETWORK)
    return row


def check_route(call: Call, vpc: Vpc) -> IPv4Network:
    text = call.text("cidr") or ""
    try:
        if "/" not in text:
            raise ValueError
        net = IPv4Network(text, strict=False)
    except ValueError:
        raise invalid(f"Invalid format for cidr {text}") from None
    if net.overlaps(IPv4Network(vpc.cidr)):
        raise invalid(f"CIDR should be outside of VPC cidr {vpc.cidr}")
    if net.overlaps(LINK_LOCAL):
        raise invalid(f"CIDR should be outside of link local cidr {LINK_LOCAL}")
    return net


def check_conflicts(call: Call, vpc: Vpc, net: IPv4Network) -> None:
    for other in call.world.static_route:
        if other.vpc == vpc.id and net.overlaps(IPv4Network(other.cidr, strict=False)):
            gateway = call.world.gateway.get(other.gateway)
            shown = f"StaticRoute[{other.id}|{other.cidr}|{gateway.number if gateway else 'null'}]"
            raise ApiError(537, f"New static route cidr conflicts with existing route {shown}", 9999)


@command("createStaticRoute")
def create_route(call: Call) -> Row:
    world = call.world
    gateway, nexthop, cidr = call.entity("gatewayid", Gateway), call.text("nexthop"), call.text("cidr") or ""
    if gateway is not None:
        call.check_access(gateway)
        vpc = world.vpc[gateway.vpc]
    elif nexthop is None:
        raise invalid("one of gatewayId and nextHop must be specified")
    elif "vpcid" in call.args:
        vpc = call.need("vpcid", Vpc)
    else:
        raise invalid("vpcId must be specified")
    net = check_route(call, vpc)
    if nexthop and gateway is None:
        check_nexthop(call, vpc, nexthop)
    check_conflicts(call, vpc, net)
    route = StaticRoute(world.uuid(), world.static_route.take_number(), vpc.id, vpc.account, cidr, world.now())
    route.gateway, route.nexthop = (gateway.id, None) if gateway else (None, nexthop)
    world.static_route.add(route)

    def work() -> Steps:
        yield 0.1
        return {"staticroute": route_row(call, route)}

    job = call.submit(work, route, key=vpc.id, on_failure=lambda: drop_route(call, route))
    return {"id": route.id, "jobid": job.id}


def check_nexthop(call: Call, vpc: Vpc, nexthop: str) -> None:
    """It lies in the VPC, or beside one of its addresses or gateways."""
    gateways = [f"{one.gateway}/{one.netmask}" for one in call.world.gateway if one.vpc == vpc.id]
    try:
        hop = IPv4Address(nexthop)
        near = any(hop in IPv4Network(cidr, strict=False) for cidr in (vpc.cidr, *gateways))
        near = near or any(one.zone == vpc.zone and one.address == nexthop for one in call.world.public_ip)
    except ValueError:
        near = False
    if not near:
        where = "It must be within VPC CIDR or on the same public or private network"
        raise invalid(f"Next hop {nexthop} is invalid. {where}")


def drop_route(call: Call, route: StaticRoute) -> None:
    call.world.tags.pop(route.id, None)
    if route.id in call.world.static_route.rows:
        call.world.static_route.remove(route, leave_trace=False)


ROUTES: Filters = {
    **ID_FILTERS,
    "vpcid": same_id("vpc"),
    "gatewayid": same_id("gateway"),
    "state": lambda route, wanted: route.state.lower() == str(wanted).lower(),
}


@command("listStaticRoutes", "static_route")
def list_routes(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [route for route in call.world.static_route if mine(route.account)]
    rows.sort(key=lambda route: (-int(route.created), route.number))
    rows = select(call, rows, ROUTES, lambda route: (route.cidr,))
    return page(call, "staticroute", rows, lambda route: route_row(call, route))


@command("deleteStaticRoute", "static_route")
def delete_route(call: Call) -> Row:
    route = call.need("id", StaticRoute)
    if route.state != "Active":
        raise errors.invalid(f"Static route {route.id} is not active")

    def work() -> Steps:
        yield 0.1
        drop_route(call, route)
        return {"success": True}

    return call.later(work, key=route.vpc)
