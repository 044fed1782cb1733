"""routers: the source NAT that every isolated network has, shown as a Cloud NAT of its subnetwork.

Visible differences: a router comes with its subnetwork and goes with it; none can be made, changed or deleted. Upstream
calls: one, two for a status.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import aggregated, listing
from gstack.protocol.methods import method, refused
from gstack.protocol.rendering import render
from gstack.translate import networks, places
from gstack.translate.names import label
from gstack.translate.networks import Networks, Subnetwork
from gstack.translate.times import rfc3339

NEEDS = ("listNetworks",)
_FIXED = "Every isolated network comes with its router and its NAT, which CloudStack keeps as they are."

for _verb in ("insert", "patch", "update", "delete"):
    refused(f"compute.routers.{_verb}", _FIXED)


@method("compute.routers.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One router, by name or number."""
    return view(call, _found(call))


@method("compute.routers.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """The routers of one region."""
    region = call.params["region"]
    if not places.of_caller(call.caller).region(region):
        raise not_found(f"projects/{call.project}/regions/{region}")
    return listing(
        call,
        _routed(networks.of_caller(call.caller, refresh=True), region),
        lambda piece: view(call, piece),
        name=_name,
        created=lambda piece: piece.row.get("created"),
        identity=lambda piece: piece.id,
    )


@method("compute.routers.aggregatedList", needs=NEEDS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The routers of all regions."""
    known = networks.of_caller(call.caller, refresh=True)
    regions = list(places.of_caller(call.caller).regions())
    return aggregated(
        call,
        [(f"regions/{region}", found) for region in regions if (found := _routed(known, region))],
        "routers",
        lambda piece: view(call, piece),
        name=_name,
        created=lambda piece: piece.row.get("created"),
        identity=lambda piece: piece.id,
        all_scopes=[f"regions/{region}" for region in regions],
    )


@method("compute.routers.getRouterStatus", needs=(*NEEDS, "listPublicIpAddresses"))
def get_router_status(call: Call) -> dict[str, Any]:
    """The address by which the instances of a subnetwork without one of their own are seen, once there is one."""
    piece = _found(call)
    rows = call.caller.cloud.list("listPublicIpAddresses", associatednetworkid=piece.id)
    found = [row["ipaddress"] for row in rows if row.get("issourcenat")]
    return render("router_status", network=_network(call, piece), nats=[{"addresses": found}] if found else [])


def view(call: Call, piece: Subnetwork) -> dict[str, Any]:
    """A router."""
    region = f"projects/{call.project}/regions/{piece.region}"
    return render(
        "router",
        id=str(_number(piece)),
        creation_timestamp=rfc3339(piece.row.get("created")),
        name=_name(piece),
        description=f"The source NAT of subnetwork {piece.name}.",
        region=call.links.absolute(region),
        network=_network(call, piece),
        subnetwork=call.links.absolute(f"projects/{call.project}/{piece.path}"),
        self_link=call.links.absolute(f"{region}/routers/{_name(piece)}"),
    )


def _routed(known: Networks, region: str) -> list[Subnetwork]:
    """The subnetworks of a region with a source NAT of their own."""
    return [
        piece
        for piece in known.subnetworks(region)
        if piece.kind == networks.ISOLATED and "SourceNat" in {one.get("name") for one in piece.row.get("service", ())}
    ]


def _found(call: Call) -> Subnetwork:
    region, wanted = call.params["region"], call.params["router"]
    for piece in _routed(networks.of_caller(call.caller, refresh=True), region):
        if wanted in (_name(piece), str(_number(piece))):
            return piece
    raise not_found(f"projects/{call.project}/regions/{region}/routers/{wanted}")


def _name(piece: Subnetwork) -> str:
    return label(f"{piece.name[:56]}-router")


def _network(call: Call, piece: Subnetwork) -> str:
    return call.links.absolute(f"projects/{call.project}/global/networks/{piece.network}")


def _number(piece: Subnetwork) -> int:
    return numeric_id(f"router:{piece.id}")
