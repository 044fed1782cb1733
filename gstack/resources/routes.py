"""routes: those that every network has, synthesised, and the static routes of VPCs.

Every network has one to each of its subnetworks and the default route: CloudStack's virtual routers do that and tell
nobody. In a network of the VPC model others can be made: to ranges outside of the VPC, by way of an address in one of
its subnetworks. The name is a tag of the static route. Visible differences: a static route speaks of a whole VPC, so
tags of instances are refused, and it has no priority; its next hop is an address. Synthesised routes cannot be taken
away. Upstream calls: one, two where there is a VPC.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gstack.errors import GceError, already_exists, invalid, not_found, required
from gstack.operations import engine
from gstack.operations.routes import KIND
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import listing, named
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import networks, permissions, reasons, tags
from gstack.translate.names import checked_name, gce_names
from gstack.translate.networks import Network, Networks, Subnetwork
from gstack.translate.times import now, rfc3339

NEEDS = ("listNetworks", "listStaticRoutes")
NAME = "route"  # gstack's mark on a static route
SUBNET_PRIORITY, DEFAULT_PRIORITY = 0, 1000
_HOP = "CloudStack's static routes lead to an address. Say nextHopIp."
BODY = Policy(
    honoured=("name", "network", "destRange", "nextHopIp"),
    remembered=("description",),
    only={"priority": (DEFAULT_PRIORITY,)},
    refused={
        "nextHopGateway": "The default route to the Internet is there; " + _HOP,
        "nextHopIlb": _HOP,
        "nextHopInstance": _HOP,
        "nextHopNetwork": _HOP,
        "nextHopVpnTunnel": _HOP,
        "params": reasons.RESOURCE_MANAGER_TAGS,
        "tags": "A static route of CloudStack's speaks of a whole VPC.",
    },
)


@dataclass(frozen=True)
class Route:
    """A route of ``network``: to one of its subnetworks (``piece``), a static route of its VPC (``row``), or with
    neither to everywhere else."""

    network: Network
    piece: Subnetwork | None = None
    row: Mapping[str, Any] | None = None
    called: str = ""

    @property
    def name(self) -> str:
        """As GCE calls its own routes: by a number that stays the same; or as it was called."""
        token = hashlib.blake2b(self.id.encode(), digest_size=8).hexdigest()
        return self.called or f"default-route-{'r-' if self.piece else ''}{token}"

    @property
    def id(self) -> str:
        """What tells it from others."""
        return str(self.row["id"]) if self.row else f"{self.network.number}/{self.piece.id if self.piece else ''}"

    @property
    def number(self) -> int:
        """The numeric id."""
        return numeric_id(self.id if self.row else f"route:{self.id}")

    @property
    def created(self) -> Any:
        """When what it leads to was made; of a static route only gstack knows."""
        if self.row is not None:
            return overlay.read(KIND, self.id).get("created")
        return self.piece.row.get("created") if self.piece else self.network.created


@method("compute.routes.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One route, by name or number."""
    return view(call, _found(call))


@method("compute.routes.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """The routes of all networks."""
    return listing(call, _routes(call), named(partial(view, call)))


@method("compute.routes.insert", needs=(*NEEDS, "listVPCs", "createStaticRoute", "createTags"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Make a static route of a VPC."""
    name = checked_name(call.body.get("name"))
    for member in ("network", "destRange", "nextHopIp"):
        if not call.body.get(member):
            raise required(f"resource.{member}")
    path = _path(call, name)
    if any(route.name == name for route in _routes(call)):
        raise already_exists(path)
    network = networks.require_network(call.caller, call.body["network"], "resource.network")
    hop, piece = _hop(call, networks.of_caller(call.caller).get(network.name) or network)
    plan = {
        "vpcid": piece.vpc,
        "cidr": _range(call, piece),
        "nexthop": hop,
        "tags": tags.plan_own((), {NAME: name}).create,
        "kept": {
            "description": call.body.get("description"),
            "created": now(),
        },
    }
    return engine.start(call, "op.routes.insert", type="insert", target=path, plan=plan, claim=path)


@method("compute.routes.delete", needs=(*NEEDS, "deleteStaticRoute"))
def delete(call: Call) -> dict[str, Any]:
    """Delete a static route of a VPC."""
    route = _found(call)
    path = _path(call, route.name)
    if route.row is None:
        raise GceError("unsupported", f"The route '{path}' is CloudStack's own; its virtual routers keep it.")
    if NAME not in networks.marks(route.row):
        raise GceError("unsupported", f"The route '{path}' belongs to CloudStack's operator or to other tools.")
    plan = {"id": route.row["id"], "vpc": route.row["vpcid"]}
    return engine.start(call, "op.routes.delete", type="delete", target=path, target_id=route.number, plan=plan)


@method("compute.routes.testIamPermissions", needs=NEEDS, body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a route."""
    _found(call, call.params["resource"])
    return permissions.held(call)


def view(call: Call, route: Route) -> dict[str, Any]:
    """A route."""
    project, piece, row = call.links.project(call.project), route.piece, route.row
    network = f"{project}/global/networks/{route.network.name}"
    members = {
        "description": "Default route to the Internet.",
        "priority": DEFAULT_PRIORITY,
        "dest_range": "0.0.0.0/0",
        "next_hop_gateway": f"{project}/global/gateways/default-internet-gateway",
        "next_hop_ip": None,
        "next_hop_network": None,
        "route_type": "STATIC",
    }
    if row is not None:
        described = overlay.read(KIND, row["id"]).get("description")
        hop = row.get("nexthop") or row.get("vpcgatewayip")
        members |= {"description": described, "dest_range": row["cidr"], "next_hop_gateway": None, "next_hop_ip": hop}
    elif piece is not None:
        members |= {
            "description": f"Default local route to the subnetwork {piece.row['cidr']}.",
            "priority": SUBNET_PRIORITY,
            "dest_range": piece.row["cidr"],
            "next_hop_gateway": None,
            "next_hop_network": network,
            "route_type": "SUBNET",
        }
    return render(
        "route",
        id=str(route.number),
        creation_timestamp=rfc3339(route.created),
        name=route.name,
        network=network,
        self_link=f"{project}/global/routes/{route.name}",
        **members,
    )


def _routes(call: Call) -> list[Route]:
    known = networks.of_caller(call.caller, refresh=True)
    found = []
    for network in known:
        found.append(Route(network))
        found += [Route(network, piece) for piece in network.subnetworks if piece.row.get("cidr")]
    return [*found, *_static(call, known)]


def _static(call: Call, known: Networks) -> list[Route]:
    owners = {piece.vpc: piece.network for piece in known.subnetworks() if piece.vpc}
    rows = [row for row in call.caller.cloud.list("listStaticRoutes") if row.get("vpcid") in owners] if owners else []
    names = gce_names(rows, lambda row: networks.marks(row).get(NAME) or f"route-{row['cidr']}", "id", _age)
    found = [(known.get(owners[row["vpcid"]]), row) for row in rows]
    return [Route(network, None, row, names[row["id"]]) for network, row in found if network is not None]


def _age(row: Mapping[str, Any]) -> str | None:
    """Of two routes of one name that of gstack keeps it."""
    return None if NAME in networks.marks(row) else "9999-12-31T00:00:00+0000"


def _found(call: Call, name: str | None = None) -> Route:
    wanted = name or call.params["route"]
    for route in _routes(call):
        if wanted in (route.name, str(route.number)):
            return route
    raise not_found(_path(call, wanted))


def _hop(call: Call, network: Network) -> tuple[str, Subnetwork]:
    """The next hop, and the tier that it lies in."""
    text, where = call.body["nextHopIp"], "resource.nextHopIp"
    address = networks.ipv4(text, where)
    tiers = [piece for piece in network.subnetworks if piece.vpc and piece.owned]
    if not tiers:
        why = (
            f"'{network.name}' has no subnetwork in a VPC of gstack's; isolated networks of CloudStack have no routes."
        )
        raise invalid("resource.network", call.body["network"], why)
    piece = next((piece for piece in tiers if piece.range is not None and address in piece.range), None)
    if piece is None:
        raise invalid(where, text, f"It must lie in a subnetwork of '{network.name}'.")
    return str(address), piece


def _range(call: Call, piece: Subnetwork) -> str:
    text, where = call.body["destRange"], "resource.destRange"
    try:
        cidr = ipaddress.IPv4Network(text if "/" in text else f"{text}/32")
    except ValueError:
        raise invalid(where, text, "Must be an IPv4 range in CIDR notation, such as 10.0.0.0/24.") from None
    vpc = call.caller.cloud.first("listVPCs", id=piece.vpc) or {}
    if vpc.get("cidr") and cidr.overlaps(ipaddress.IPv4Network(vpc["cidr"], strict=False)):
        raise invalid(where, text, f"CloudStack routes ranges outside of the VPC only, which has {vpc['cidr']}.")
    return str(cidr)


def _path(call: Call, name: str) -> str:
    return f"projects/{call.project}/global/routes/{name}"
