"""Virtual routers, which are no objects of their own here: they follow from the networks that need one.

Apart from networks and VPCs, whose owners never see them. Surprising: which zones are `available=false` is a matter
of routers: those where the caller's account has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import NAMESPACE_OID, uuid5

from ..call import Call
from ..lists import ID_FILTERS, Filters, Test, check_page, name_is, page, same_id, select, visible_accounts
from ..model import Entity, Network, Row
from ..model_network import Vpc
from ..registry import command
from ..world import date

SYSTEM = "system"  # the account, which no list shows, that owns the routers of shared networks


class Router(Entity):
    def __init__(self, zone: str, account: str, created: float, served: Network | Vpc) -> None:
        super().__init__(str(uuid5(NAMESPACE_OID, f"router {served.id}")), served.number)
        self.zone, self.account, self.created = zone, account, created
        self.name = f"r-{served.number}-VM"
        self.vpc = served if isinstance(served, Vpc) else None
        self.network = served if isinstance(served, Network) else None


def running(call: Call) -> Iterator[Router]:
    """One for each VPC, each implemented isolated network and each shared network that machines run on."""
    world = call.world
    used = {world.nic[key].network for machine in world.machine if machine.host is not None for key in machine.nics}
    for vpc in world.vpc:
        yield Router(vpc.zone, vpc.account, vpc.created, vpc)
    for network in world.network:
        isolated = network.row["type"] == "Isolated" and network.vlan is not None and network.vpc is None
        if isolated or (network.row["type"] == "Shared" and network.id in used):
            created = world.account[network.account].created if network.account else world.now()
            yield Router(network.zone, network.account or SYSTEM, created, network)


def view(call: Call, router: Router) -> Row:
    world, zone = call.world, call.world.zone[router.zone]
    row: Row = {"id": router.id, "name": router.name, "zoneid": zone.id, "zonename": zone.name, "state": "Running"}
    row.update(created=date(router.created), role="VIRTUAL_ROUTER", hypervisor="Simulator")
    row["networkdomain"] = zone.row["networkdomain"]
    if router.network is not None:
        row.update(guestnetworkid=router.network.id, guestnetworkname=router.network.name)
    if router.vpc is not None:
        row.update(vpcid=router.vpc.id, vpcname=router.vpc.name)
    row.update(world.owner(router.account) if router.account != SYSTEM else {"account": SYSTEM, "domain": "ROOT"})
    row.update(isredundantrouter=False, redundantstate="UNKNOWN", requiresupgrade=False, hasannotations=False)
    return row


def named(attribute: str) -> Test:
    return lambda router, wanted: getattr(router, attribute) is not None and getattr(router, attribute) is wanted


FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "zoneid": same_id("zone"),
    "networkid": named("network"),
    "vpcid": named("vpc"),
    "forvpc": lambda router, wanted: (router.vpc is not None) is wanted,
    "state": lambda router, wanted: str(wanted).lower() == "running",
}


@command("listRouters")
def list_routers(call: Call) -> Row:
    """Like other lists of objects it shows the caller's own, root's too, unless `listall` is set."""
    check_page(call)
    mine = visible_accounts(call)
    rows = select(call, [r for r in running(call) if mine(r.account)], FILTERS, lambda router: (router.name,))
    return page(call, "router", rows, lambda router: view(call, router))
