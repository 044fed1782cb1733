"""routers: the source NAT that every isolated network and every VPC has, as Cloud NAT.

See translate/routers.py for which there are. Visible differences: CloudStack translates whether or not a router says
so, for all subnetworks of the network in the region, by an address that it chooses; so a router with a NAT states what
is the case, one without it stops nothing, and what a NAT could be set to is refused. There is no BGP. A network has one
router in a region. Upstream calls: one, two for a status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from typing import Any

from gstack.errors import GceError, already_exists, invalid, not_found, required
from gstack.operations import engine
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape, listing, named
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import kept, machines, networks, places, reasons, routers, scopes
from gstack.translate.names import NAME_RULE, is_label
from gstack.translate.routers import KIND, Router
from gstack.translate.times import rfc3339

NEEDS = ("listNetworks",)
PORTS = "1024-65535"  # what a virtual router translates to
_BGP = "There is no BGP: CloudStack's virtual routers exchange no routes."
_FIXED = "CloudStack's virtual routers translate in their own way."
# GCE's defaults, which clients like Terraform write out. How long CloudStack's routers remember is theirs to say.
TIMEOUTS = {
    "icmpIdleTimeoutSec": 30,
    "tcpEstablishedIdleTimeoutSec": 1200,
    "tcpTimeWaitTimeoutSec": 120,
    "tcpTransitoryIdleTimeoutSec": 30,
    "udpIdleTimeoutSec": 30,
}
BODY = Policy(
    honoured=("name", "network", "nats[].name"),
    remembered=("description", *(f"nats[].{member}" for member in TIMEOUTS)),
    only={
        **{f"nats[].{member}": (seconds,) for member, seconds in TIMEOUTS.items()},
        "encryptedInterconnectRouter": (False,),
        "nats[].type": ("PUBLIC",),
        "nats[].natIpAllocateOption": ("AUTO_ONLY",),
        "nats[].sourceSubnetworkIpRangesToNat": (routers.EVERYTHING, "ALL_SUBNETWORKS_ALL_PRIMARY_IP_RANGES"),
        "nats[].endpointTypes": (["ENDPOINT_TYPE_VM"],),
        "nats[].autoNetworkTier": ("PREMIUM",),
    },
    refused={
        "bgp": _BGP,
        "bgpPeers": _BGP,
        "interfaces": "There are no VPN tunnels and no interconnects.",
        "md5AuthenticationKeys": _BGP,
        "nccGateway": "There are no gateways.",
        "nats[].drainNatIps": "CloudStack chooses the address.",
        "nats[].enableDynamicPortAllocation": _FIXED,
        "nats[].enableEndpointIndependentMapping": _FIXED,
        "nats[].logConfig": "CloudStack keeps no logs of it.",
        "nats[].maxPortsPerVm": _FIXED,
        "nats[].minPortsPerVm": _FIXED,
        "nats[].nat64Subnetworks": reasons.IPV6,
        "nats[].natIps": "CloudStack chooses the address.",
        "nats[].rules": _FIXED,
        "nats[].sourceSubnetworkIpRangesToNat64": reasons.IPV6,
        "nats[].subnetworks": "CloudStack translates for all subnetworks.",
        "params": reasons.RESOURCE_MANAGER_TAGS,
    },
)

for _verb in ("NamedSet", "RoutePolicy"):
    for _what in ("delete", "get", "patch", "update"):
        refused(f"compute.routers.{_what}{_verb}", _BGP)
for _verb in ("listBgpRoutes", "listNamedSets", "listRoutePolicies"):
    refused(f"compute.routers.{_verb}", _BGP)


@method("compute.routers.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One router, by name or number."""
    return view(call, _found(call))


@method("compute.routers.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """The routers of one region."""
    region = places.require_region(call.caller, call.params["region"])
    rows = [router for router in routers.of_caller(call.caller) if router.region == region]
    return listing(call, rows, named(partial(view, call)))


@method("compute.routers.aggregatedList", needs=NEEDS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The routers of all regions."""
    rows = scopes.grouped(routers.of_caller(call.caller), lambda router: f"regions/{router.region}")
    return scopes.aggregated_in(call, ("regions",), rows, KIND, named(partial(view, call)))


@method("compute.routers.insert", needs=NEEDS, body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Give the source NAT of a network in a region a name."""
    region, name = places.require_region(call.caller, call.params["region"]), str(call.body.get("name") or "")
    for member in ("name", "network"):
        if not call.body.get(member):
            raise required(f"resource.{member}")
    if not is_label(name):
        raise invalid("resource.name", name, NAME_RULE)
    path = _path(call, name)
    known = [router for router in routers.of_caller(call.caller) if router.region == region]
    if any(router.name == name for router in known):
        raise already_exists(path)
    network = networks.require_network(call.caller, call.body["network"], "resource.network").name
    other = next((router for router in known if router.kept and router.network == network), None)
    if other is not None:
        why = f"It has the router '{other.name}' in this region already, for all that leaves it."
        raise invalid("resource.network", call.body["network"], why)
    created = datetime.now(UTC).isoformat(timespec="milliseconds")
    number = numeric_id(f"{kept.owner(call.caller.project)}/{region}/{name}/{created}")
    content = {
        "owner": kept.owner(call.caller.project),
        "name": name,
        "region": region,
        "network": network,
        "number": str(number),
        "created": created,
        "description": call.body.get("description"),
        "nats": _nats(call.body),
    }
    if not overlay.add(KIND, _key(call, name), call.project, content):
        raise already_exists(path)  # by another request, since the look above
    return engine.done(call, type="insert", target=path, target_id=number)


@method("compute.routers.patch", needs=NEEDS, body=BODY)
def patch(call: Call) -> dict[str, Any]:
    """Change the description or the NAT that the body names."""
    return _change(call, lambda before: {**before, **{key: call.body[key] for key in CHANGING if key in call.body}})


@method("compute.routers.update", needs=NEEDS, body=BODY)
def update(call: Call) -> dict[str, Any]:
    """Put the body in the place of a router."""
    return _change(call, lambda before: {**before, **{key: call.body.get(key) for key in CHANGING}})


@method("compute.routers.delete", needs=NEEDS)
def delete(call: Call) -> dict[str, Any]:
    """Take the name away from a source NAT, which goes on."""
    router = _own(call)
    overlay.drop(KIND, _key(call, router.name))
    return engine.done(call, type="delete", target=_path(call, router.name), target_id=router.number)


@method("compute.routers.getRouterStatus", needs=(*NEEDS, "listPublicIpAddresses"))
def get_router_status(call: Call) -> dict[str, Any]:
    """The addresses by which instances without one of their own are seen, once there are any."""
    router = _found(call)
    rows = call.caller.cloud.list("listPublicIpAddresses") if router.pieces else []
    nats = [{"name": nat["name"], "addresses": router.addresses(rows)} for nat in router.nats]
    return render("router_status", network=_network(call, router), nats=nats)


@method("compute.routers.getNatMappingInfo", needs=(*NEEDS, "listPublicIpAddresses", "listVirtualMachines"))
def get_nat_mapping_info(call: Call) -> dict[str, Any]:
    """The interfaces that a router translates for: those without an external address."""
    router, wanted = _found(call), call.params.get("natName")
    found: list[Mapping[str, Any]] = []
    if router.pieces and any(wanted in (None, nat["name"]) for nat in router.nats):
        cloud = call.caller.cloud
        rows, machines_ = cloud.together(("listPublicIpAddresses", {}), ("listVirtualMachines", {"details": ["nics"]}))
        found = [one for row in machines.visible(machines_) if (one := _mapping(router, rows, row))["interfaces"]]
    shape = Shape[Mapping[str, Any]](
        lambda one: {"instanceName": one["name"], "interfaceNatMappings": one["interfaces"]}, itemgetter("name")
    )
    return listing(call, found, shape, member="result")


def view(call: Call, router: Router) -> dict[str, Any]:
    """A router."""
    region = f"projects/{call.project}/regions/{router.region}"
    return render(
        "router",
        id=str(router.number),
        creation_timestamp=rfc3339(router.created),
        name=router.name,
        description=router.description,
        region=call.links.absolute(region),
        network=_network(call, router),
        nats=router.nats,
        self_link=call.links.absolute(f"{region}/routers/{router.name}"),
    )


CHANGING = ("description", "nats")


def _change(call: Call, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    router = _own(call)
    fixed = {"name": router.name, "network": router.network}
    for member, value in fixed.items():
        given = call.body.get(member)
        if given and given.rpartition("/")[2] != value:
            raise invalid(f"resource.{member}", given, "It cannot be changed.")
    _nats(call.body)
    overlay.write(KIND, _key(call, router.name), call.project, change(dict(router.kept)))
    path = _path(call, router.name)
    return engine.done(call, type=call.method.verb, target=path, target_id=router.number)


def _nats(body: dict[str, Any]) -> list[dict[str, Any]]:
    nats: list[dict[str, Any]] = body.get("nats") or []
    if len(nats) > 1:
        raise invalid("resource.nats", len(nats), "One NAT translates for all that leaves the network.")
    for nat in nats:
        for member in ("name", "natIpAllocateOption", "sourceSubnetworkIpRangesToNat"):
            if not nat.get(member):
                raise required(f"resource.nats[0].{member}")
        if not is_label(nat["name"]):
            raise invalid("resource.nats[0].name", nat["name"], NAME_RULE)
    return nats


def _mapping(router: Router, rows: list[dict[str, Any]], machine: Mapping[str, Any]) -> dict[str, Any]:
    mine = {piece.id for piece in router.pieces}
    ranges = [f"{address}:{PORTS}" for address in router.addresses(rows)]
    nics = [nic for nic in machine.get("nic") or () if nic.get("networkid") in mine and not nic.get("publicip")]
    mappings = [{"sourceVirtualIp": nic.get("ipaddress"), "natIpPortRanges": ranges} for nic in nics if ranges]
    return {"id": machine["id"], "name": machines.wanted_name(machine), "interfaces": mappings}


def _found(call: Call) -> Router:
    region, wanted = places.require_region(call.caller, call.params["region"]), call.params["router"]
    for router in routers.of_caller(call.caller):
        if router.region == region and wanted in (router.name, str(router.number)):
            return router
    raise not_found(_path(call, wanted))


def _own(call: Call) -> Router:
    """The router of the URL, if a client made it."""
    router = _found(call)
    if not router.kept:
        message = f"The router '{_path(call, router.name)}' comes with its network, which CloudStack keeps as it is."
        raise GceError("unsupported", message)
    return router


def _network(call: Call, router: Router) -> str:
    return call.links.absolute(f"projects/{call.project}/global/networks/{router.network}")


def _key(call: Call, name: str) -> str:
    return kept.store_key(call.caller.project, KIND, f"{call.params['region']}/{name}")


def _path(call: Call, name: str) -> str:
    return f"projects/{call.project}/regions/{call.params['region']}/routers/{name}"
