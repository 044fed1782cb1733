"""subnetworks: CloudStack's shared networks with security groups, each a piece of the network ``default``.

The first of a region is called ``default``, as in a GCE auto network; see translate/networks.py. Visible differences:
a subnetwork lives in one zone. Upstream calls: none once the catalogue is cached.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import aggregated, listing
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate import networks, places
from gstack.translate.networks import Subnetwork
from gstack.translate.times import rfc3339


@method("compute.subnetworks.get", needs=("listNetworks",))
def get(call: Call) -> dict[str, Any]:
    """One subnetwork, by name or number."""
    region, wanted = call.params["region"], call.params["subnetwork"]
    for refresh in (False, True):
        for piece in networks.of_caller(call.caller, refresh=refresh).subnetworks(region):
            if wanted in (piece.name, str(_number(piece))):
                return view(call, piece)
    raise not_found(f"projects/{call.project}/regions/{region}/subnetworks/{wanted}")


@method("compute.subnetworks.list", needs=("listNetworks",))
def list_(call: Call) -> dict[str, Any]:
    """The subnetworks of one region."""
    region = call.params["region"]
    if not places.of_caller(call.caller).region(region):
        raise not_found(f"projects/{call.project}/regions/{region}")
    return listing(
        call,
        networks.of_caller(call.caller).subnetworks(region),
        lambda piece: view(call, piece),
        name=lambda piece: piece.name,
        created=lambda piece: piece.row.get("created"),
        identity=lambda piece: piece.id,
    )


@method("compute.subnetworks.aggregatedList", needs=("listNetworks",))
def aggregated_list(call: Call) -> dict[str, Any]:
    """The subnetworks of all regions."""
    known = networks.of_caller(call.caller)
    regions = list(places.of_caller(call.caller).regions())
    return aggregated(
        call,
        [(f"regions/{region}", found) for region in regions if (found := known.subnetworks(region))],
        "subnetworks",
        lambda piece: view(call, piece),
        name=lambda piece: piece.name,
        created=lambda piece: piece.row.get("created"),
        identity=lambda piece: piece.id,
        all_scopes=[f"regions/{region}" for region in regions],
    )


def view(call: Call, piece: Subnetwork) -> dict[str, Any]:
    """A subnetwork."""
    row = piece.row
    ipv6 = row.get("ip6cidr")
    return render(
        "subnetwork",
        id=str(_number(piece)),
        creation_timestamp=rfc3339(row.get("created")),
        name=piece.name,
        description=row.get("displaytext"),
        network=call.links.absolute(f"projects/{call.project}/global/networks/{piece.network}"),
        region=call.links.region(call.project, piece.region),
        ip_cidr_range=row.get("cidr"),
        gateway_address=row.get("gateway"),
        fingerprint=fingerprint([piece.id, row.get("cidr"), ipv6]),
        stack_type="IPV4_IPV6" if ipv6 else "IPV4_ONLY",
        ipv6_access_type="EXTERNAL" if ipv6 else None,
        ipv6_cidr_range=ipv6,
        self_link=call.links.absolute(f"projects/{call.project}/{piece.path}"),
    )


def _number(piece: Subnetwork) -> int:
    # The network that this is a piece of may have its number from the same CloudStack network.
    return numeric_id(f"subnetwork:{piece.id}")
