"""networks: what CloudStack's shared networks with security groups amount to, one GCE network ``default``.

Which networks those are, and their pieces, is decided in translate/networks.py. Visible differences: the addresses are
CloudStack's, often public ones; instances of different zones reach one another by whatever routes the cloud has.
Upstream calls: none once the catalogue is cached.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import listing
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate import networks
from gstack.translate.networks import Network
from gstack.translate.times import rfc3339

# GCE's limits; a row outside of them says nothing that a client could use.
LEAST_MTU, MOST_MTU = 1300, 8896


@method("compute.networks.get", needs=("listNetworks",))
def get(call: Call) -> dict[str, Any]:
    """One network, by name or number."""
    wanted = call.params["network"]
    for refresh in (False, True):
        for network in networks.of_caller(call.caller, refresh=refresh):
            if wanted in (network.name, str(numeric_id(network.oldest.id))):
                return view(call, network)
    raise not_found(f"projects/{call.project}/global/networks/{wanted}")


@method("compute.networks.list", needs=("listNetworks",))
def list_(call: Call) -> dict[str, Any]:
    """All networks."""
    return listing(
        call,
        networks.of_caller(call.caller),
        lambda network: view(call, network),
        name=lambda network: network.name,
        created=lambda network: network.oldest.row.get("created"),
        identity=lambda network: network.name,
    )


def view(call: Call, network: Network) -> dict[str, Any]:
    """A network."""
    row = network.oldest.row
    number = str(numeric_id(network.oldest.id))
    base = f"projects/{call.project}/global/networks"
    mtu = int(row.get("privatemtu") or 0)
    return render(
        "network",
        id=number,
        creation_timestamp=rfc3339(row.get("created")),
        name=network.name,
        description=row.get("displaytext"),
        subnetworks=[call.links.absolute(f"projects/{call.project}/{piece.path}") for piece in network.subnetworks],
        mtu=mtu if LEAST_MTU <= mtu <= MOST_MTU else None,
        self_link=call.links.absolute(f"{base}/{network.name}"),
        self_link_with_id=call.links.absolute(f"{base}/{number}"),
    )
