"""routes: those that every network has, synthesised: one to each of its subnetworks, and the default route.

CloudStack's virtual routers do the routing and tell nobody of routes. Visible differences: none can be added or taken
away; the names hold numbers of the networks and stay the same. Upstream calls: one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import listing
from gstack.protocol.methods import method, refused
from gstack.protocol.rendering import render
from gstack.translate import networks
from gstack.translate.networks import Network, Subnetwork
from gstack.translate.times import rfc3339

NEEDS = ("listNetworks",)
_FIXED = (
    "CloudStack's virtual routers route what networks need; only VPCs have routes of their own, which gstack lacks."
)
SUBNET_PRIORITY, DEFAULT_PRIORITY = 0, 1000

refused("compute.routes.insert", _FIXED)
refused("compute.routes.delete", _FIXED)


@dataclass(frozen=True)
class Route:
    """A route of ``network``: to one of its subnetworks, or with None to everywhere else."""

    network: Network
    piece: Subnetwork | None

    @property
    def name(self) -> str:
        """As GCE calls its own routes: by a number that stays the same."""
        token = hashlib.blake2b(self.key.encode(), digest_size=8).hexdigest()
        return f"default-route-{'r-' if self.piece else ''}{token}"

    @property
    def key(self) -> str:
        """What tells routes apart."""
        return f"{self.network.number}/{self.piece.id if self.piece else ''}"

    @property
    def created(self) -> Any:
        """When what it leads to was made."""
        return self.piece.row.get("created") if self.piece else self.network.created


@method("compute.routes.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One route, by name or number."""
    wanted = call.params["route"]
    for route in _routes(call):
        if wanted in (route.name, str(_number(route))):
            return view(call, route)
    raise not_found(f"projects/{call.project}/global/routes/{wanted}")


@method("compute.routes.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """The routes of all networks."""
    return listing(
        call,
        _routes(call),
        lambda route: view(call, route),
        name=lambda route: route.name,
        created=lambda route: route.created,
        identity=lambda route: route.key,
    )


def view(call: Call, route: Route) -> dict[str, Any]:
    """A route."""
    project, piece = call.links.project(call.project), route.piece
    network = f"{project}/global/networks/{route.network.name}"
    return render(
        "route",
        id=str(_number(route)),
        creation_timestamp=rfc3339(route.created),
        name=route.name,
        description=f"Default local route to the subnetwork {piece.row['cidr']}."
        if piece
        else "Default route to the Internet.",
        network=network,
        priority=SUBNET_PRIORITY if piece else DEFAULT_PRIORITY,
        dest_range=piece.row["cidr"] if piece else "0.0.0.0/0",
        next_hop_gateway=None if piece else f"{project}/global/gateways/default-internet-gateway",
        next_hop_network=network if piece else None,
        route_type="SUBNET" if piece else "STATIC",
        self_link=f"{project}/global/routes/{route.name}",
    )


def _routes(call: Call) -> Iterator[Route]:
    for network in networks.of_caller(call.caller, refresh=True):
        yield Route(network, None)
        for piece in network.subnetworks:
            if piece.row.get("cidr"):
                yield Route(network, piece)


def _number(route: Route) -> int:
    return numeric_id(f"route:{route.key}")
