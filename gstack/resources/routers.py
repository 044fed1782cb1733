"""routers: the source NAT that every isolated network and every VPC has, as Cloud NAT.

See translate/routers.py for which there are. Visible differences: CloudStack translates whether or not a router says
so, for all subnetworks of the network in the region, by an address that it chooses; so a router with a NAT states what
is the case, one without it stops nothing, and what a NAT could be set to is refused. There is no BGP. A network has one
router in a region. Upstream calls: one, two for a status,
three for what is translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import itemgetter
from typing import Any

from gstack.errors import GceError, already_exists, invalid, not_found, required
from gstack.operations import engine
from gstack.protocol.call import Call
from gstack.protocol.listing import Shape, listing, named
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import kept, machines, networks, places, reasons, routers, scopes
from gstack.translate.names import NAME_RULE, checked_name, is_label
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


@method("compute.routers.insert", needs=(*NEEDS, "updateNetwork"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Give the source NAT of a network in a region a name."""
    name = checked_name(call.body.get("name"))
    content, path = _new(call, name), _path(call, name)
    if not overlay.add(KIND, _key(call, name), call.project, content):
        raise already_exists(path)  # by another request, since the look above
    return engine.done(call, type="insert", target=path, target_id=content["number"])


@method("compute.routers.preview", needs=NEEDS, body=BODY)
def preview(call: Call) -> dict[str, Any]:
    """What update would make of a router that is there, or insert of one that is not; nothing changes."""
    name = call.params["router"]
    there = next((one for one in routers.of_caller(call.caller) if _is(call, one, name)), None)
    if there is not None and there.kept:
        _check(call, there)
        content = {**there.kept, **_replaced(call)}
    elif call.body.get("name", name) != name:
        raise invalid("resource.name", call.body["name"], f"It must be that of the URL, {name}.")
    else:
        content = _new(call, checked_name(name))
    known = networks.of_caller(call.caller)
    (shown,) = (one for one in routers.routers(known, [content]) if one.kept)
    return {"resource": view(call, shown)}


@method("compute.routers.patch", needs=(*NEEDS, "updateNetwork"), body=BODY)
def patch(call: Call) -> dict[str, Any]:
    """Change the description or the NAT that the body names."""
    router = _own(call)
    _check(call, router)
    return _write(call, router, {key: call.body[key] for key in CHANGING if key in call.body})


@method("compute.routers.update", needs=(*NEEDS, "updateNetwork"), body=BODY)
def update(call: Call) -> dict[str, Any]:
    """Put the body in the place of a router."""
    router = _own(call)
    _check(call, router)
    return _write(call, router, _replaced(call))


@method("compute.routers.delete", needs=(*NEEDS, "updateNetwork"))
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


@method("compute.routers.getNatIpInfo", needs=(*NEEDS, "listPublicIpAddresses", "listVirtualMachines"))
def get_nat_ip_info(call: Call) -> dict[str, Any]:
    """The addresses of each NAT, and whether any interface is translated to them."""
    router, wanted = _found(call), call.params.get("natName")
    addresses, translated = _translated(call, router) if router.pieces else ([], [])
    usage = "IN_USE" if translated else "UNUSED"
    mappings = [{"natIp": address, "mode": "AUTO", "usage": usage} for address in addresses]
    named = [nat["name"] for nat in router.nats if wanted in (None, nat["name"])]
    return render("nat_ip_infos", nats=[{"name": name, "mappings": mappings} for name in named])


@method("compute.routers.getNatMappingInfo", needs=(*NEEDS, "listPublicIpAddresses", "listVirtualMachines"))
def get_nat_mapping_info(call: Call) -> dict[str, Any]:
    """The interfaces that a router translates for: those without an external address."""
    router, wanted = _found(call), call.params.get("natName")
    named = router.pieces and any(wanted in (None, nat["name"]) for nat in router.nats)
    shape = Shape[Mapping[str, Any]](
        lambda one: {"instanceName": one["name"], "interfaceNatMappings": one["interfaces"]}, itemgetter("name")
    )
    return listing(call, _translated(call, router)[1] if named else [], shape, member="result")


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


def _new(call: Call, name: str) -> dict[str, Any]:
    """What the store would hold of a router that is not there yet."""
    region = places.require_region(call.caller, call.params["region"])
    if not call.body.get("network"):
        raise required("resource.network")
    known = [router for router in routers.of_caller(call.caller) if router.region == region]
    if any(router.name == name for router in known):
        raise already_exists(_path(call, name))
    network = networks.require_network(call.caller, call.body["network"], "resource.network").name
    other = next((router for router in known if router.kept and router.network == network), None)
    if other is not None:
        why = f"It has the router '{other.name}' in this region already, for all that leaves it."
        raise invalid("resource.network", call.body["network"], why)
    return {
        **kept.born(call.caller.project, KIND, f"{region}/{name}"),
        "name": name,
        "region": region,
        "network": network,
        "description": call.body.get("description"),
        "nats": _nats(call.body),
    }


def _replaced(call: Call) -> dict[str, Any]:
    """The members that an update puts in place of what is there."""
    return {key: call.body.get(key) for key in CHANGING}


def _check(call: Call, router: Router) -> None:
    """Raise GceError for a body that changes what a router keeps for life, or has NATs that cannot be."""
    for member, value in {"name": router.name, "network": router.network}.items():
        given = call.body.get(member)
        if given and given.rpartition("/")[2] != value:
            raise invalid(f"resource.{member}", given, "It cannot be changed.")
    _nats(call.body)


def _write(call: Call, router: Router, members: Mapping[str, Any]) -> dict[str, Any]:
    """Change members of a router, whatever another request has made of the others since."""
    path = _path(call, router.name)
    if not overlay.change(KIND, _key(call, router.name), lambda row: {**row, **members}):
        raise not_found(path)
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


def _translated(call: Call, router: Router) -> tuple[list[str], list[dict[str, Any]]]:
    """The addresses that a router translates to, and the machines that it translates for."""
    cloud = call.caller.cloud
    rows, there = cloud.together(("listPublicIpAddresses", {}), ("listVirtualMachines", {"details": ["nics"]}))
    addresses = router.addresses(rows)
    found = [_mapping(router, addresses, row) for row in machines.visible(there)]
    return addresses, [one for one in found if one["interfaces"]]


def _mapping(router: Router, addresses: list[str], machine: Mapping[str, Any]) -> dict[str, Any]:
    mine = {piece.id for piece in router.pieces}
    ranges = [f"{address}:{PORTS}" for address in addresses]
    nics = [nic for nic in machine.get("nic") or () if nic.get("networkid") in mine and not nic.get("publicip")]
    mappings = [{"sourceVirtualIp": nic.get("ipaddress"), "natIpPortRanges": ranges} for nic in nics if ranges]
    return {"id": machine["id"], "name": machines.wanted_name(machine), "interfaces": mappings}


def _found(call: Call) -> Router:
    places.require_region(call.caller, call.params["region"])
    wanted = call.params["router"]
    for router in routers.of_caller(call.caller):
        if _is(call, router, wanted):
            return router
    raise not_found(_path(call, wanted))


def _is(call: Call, router: Router, wanted: str) -> bool:
    return router.region == call.params["region"] and wanted in (router.name, str(router.number))


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
