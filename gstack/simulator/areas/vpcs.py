"""Virtual private clouds and their offerings.

Apart from the tiers, which are networks. Surprising: a VPC has a public address for source NAT from the moment it
is asked for, names need not be unique but are found by part, and one with tiers fails to be deleted in its job.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from .. import errors, limits
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, like, page, same_id, select, visible_accounts
from ..model import Record, Row
from ..model_network import Vpc
from ..registry import command
from ..world import IN_NETWORK, date
from . import guest_networks, networks, public_ips
from .catalogue import equal, plain_list, usable

NO_PROVIDER = "Provider VpcVirtualRouter should be enabled in at least one physical network of the zone specified"


def view(call: Call, vpc: Vpc) -> Row:
    world = call.world
    zone, offering = world.zone[vpc.zone], world.vpc_offering[vpc.offering]
    row: Row = {"id": vpc.id, "name": vpc.name, "displaytext": vpc.displaytext, "state": vpc.state}
    row.update(zoneid=zone.id, zonename=zone.name, service=offering.row["service"], cidr=vpc.cidr)
    row.update(vpcofferingid=offering.id, vpcofferingname=offering.name, created=date(vpc.created))
    row.update(world.owner(vpc.account))
    row["network"] = [networks.view(call, net) for net in world.network if net.vpc == vpc.id]
    row.update(restartrequired=False, networkdomain=vpc.networkdomain)
    row["tags"] = world.tag_rows(vpc.id, IN_NETWORK)
    row.update(distributedvpcrouter=False, regionlevelvpc=False)
    row.update(redundantvpcrouter=offering.name.startswith("Redundant"), publicmtu=1500, hasannotations=False)
    return row


def asked_cidr(call: Call) -> str:
    text = call.text("cidr")
    if text is None:
        raise invalid("VPC cidr or cidr size must be specified")
    try:
        if "/" not in text:
            raise ValueError
        net = IPv4Network(text)
    except ValueError:
        raise invalid(f"Invalid CIDR specified {text}") from None
    if not guest_networks.is_private(net):
        raise invalid(f"Guest Cidr {text} is not RFC1918 compliant")
    return text


@command("createVPC")
def create(call: Call) -> Row:
    world, owner = call.world, call.owner()
    zone, offering = call.need("zoneid", Record), call.need("vpcofferingid", Record)
    limits.check(world, owner, {"vpc": 1})
    if offering.row.get("state") != "Enabled":
        raise invalid("Unable to find vpc offering in Enabled state by specified id")
    providers = zone.row.get("providers")
    if not isinstance(providers, list) or not usable(offering, zone):
        raise invalid(NO_PROVIDER)
    cidr, name = asked_cidr(call), call.text("name") or ""
    domain = call.text("networkdomain") or str(zone.row["networkdomain"])
    address = public_ips.allocate(call, owner, zone, call.text("sourcenatipaddress"))
    number, shown = world.vpc.take_number(), call.text("displaytext") or name
    ends = owner.id, zone.id, cidr, offering.id, domain, world.now()
    vpc = world.vpc.add(Vpc(world.uuid(), number, name, shown, *ends))
    address.vpc, address.sourcenat, address.state = vpc.id, True, "Allocated"

    def work() -> Steps:
        yield 0.5 if call.flag("start", True) else 0.1
        return {"vpc": view(call, vpc)}

    job = call.submit(work, vpc, on_failure=lambda: destroy(call, vpc))
    return {"id": vpc.id, "jobid": job.id}


def destroy(call: Call, vpc: Vpc) -> None:
    """Takes a VPC away with its addresses, access lists, routes and gateways."""
    world = call.world
    for address in world.public_ip:
        if address.vpc == vpc.id:
            public_ips.free(call, address)
    for acl in [one for one in world.acl if one.vpc == vpc.id]:
        for item in [one for one in world.acl_item if one.acl == acl.id]:
            world.tags.pop(item.id, None)
            world.acl_item.remove(item, leave_trace=False)
        world.acl.remove(acl)
    for route in [one for one in world.static_route if one.vpc == vpc.id]:
        world.tags.pop(route.id, None)
        world.static_route.remove(route, leave_trace=False)
    for gateway in [one for one in world.gateway if one.vpc == vpc.id]:
        world.gateway.remove(gateway)
    for end in [one for one in world.vpn_gateway if one.vpc == vpc.id]:
        world.vpn_gateway.remove(end)
    world.tags.pop(vpc.id, None)
    world.vpc.remove(vpc)


def drop_of_account(call: Call, account: str) -> None:
    """Takes away all networks of an account whose machines are gone, and gives its addresses back."""
    world = call.world
    for network in [net for net in world.network if net.account == account]:
        guest_networks.destroy(call, network)
    for vpc in [one for one in world.vpc if one.account == account]:
        destroy(call, vpc)
    for address in [one for one in world.public_ip if one.account == account]:
        public_ips.free(call, address)


FILTERS: Filters = {
    **ID_FILTERS,
    "zoneid": same_id("zone"),
    "vpcofferingid": same_id("offering"),
    "cidr": lambda vpc, wanted: vpc.cidr == wanted,
    "state": lambda vpc, wanted: vpc.state.lower() == str(wanted).lower(),
    "name": lambda vpc, wanted: like(str(wanted))(vpc.name),
    "displaytext": lambda vpc, wanted: like(str(wanted))(vpc.displaytext),
    "restartrequired": lambda vpc, wanted: wanted is False,
}


@command("listVPCs", "vpc")
def list_vpcs(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [vpc for vpc in call.world.vpc if mine(vpc.account)]
    rows.sort(key=lambda vpc: (-int(vpc.created), vpc.number))
    wanted = set(call.words("supportedservices") or ())
    rows = [vpc for vpc in rows if wanted <= service_names(call.world.vpc_offering[vpc.offering])]
    rows = select(call, rows, FILTERS, lambda vpc: (vpc.name, vpc.displaytext))
    return page(call, "vpc", rows, lambda vpc: view(call, vpc))


def service_names(offering: Record) -> set[str]:
    rows = offering.row.get("service")
    return {str(row["name"]) for row in rows} if isinstance(rows, list) else set()


@command("updateVPC", "vpc")
def update(call: Call) -> Row:
    vpc = call.need("id", Vpc)
    if call.text("customid") and not call.is_root:
        raise errors.denied("Please check your permissions, you are not allowed to create/update custom id")

    def work() -> Steps:
        yield 0.1
        vpc.name = call.text("name") or vpc.name
        vpc.displaytext = call.text("displaytext") or vpc.displaytext
        return {"vpc": view(call, vpc)}

    return call.later(work, vpc)


@command("restartVPC", "vpc")
def restart(call: Call) -> Row:
    vpc = call.need("id", Vpc)

    def work() -> Steps:
        yield 0.5
        return {"success": True}

    return call.later(work, vpc)


@command("deleteVPC", "vpc")
def delete(call: Call) -> Row:
    vpc = call.need("id", Vpc)

    def work() -> Steps:
        tiers = sum(net.vpc == vpc.id for net in call.world.network)
        if tiers:
            shown = f'VPC {{"id":{vpc.number},"name":"{vpc.name}","uuid":"{vpc.id}"}}'
            raise invalid(f"Can't delete VPC {shown} as its used by {tiers} networks")
        yield 0.3
        if vpc.id not in call.world.vpc.rows:
            raise ApiError(530, "Failed to delete VPC")
        destroy(call, vpc)
        return {"success": True}

    return call.later(work, vpc)


@command("listVPCOfferings", "vpc_offering")
def list_offerings(call: Call) -> Row:
    zone = call.entity("zoneid", Record)
    rows = [one for one in call.world.vpc_offering if zone is None or usable(one, zone)]
    filters: Filters = {
        **ID_FILTERS,
        "name": equal("name"),
        "displaytext": equal("displaytext"),
        "state": equal("state"),
        "isdefault": lambda record, wanted: record.row.get("isdefault") is wanted,
        "supportedservices": lambda record, wanted: set(wanted) <= service_names(record),
    }
    return plain_list(call, "vpcoffering", rows, filters)
