"""Public addresses of CloudStack as GCE's external addresses.

Apart because addresses and instances must agree on them. An address that was reserved by name says so in a tag; one
that came with an instance and goes with it says that. The surprising thing: in CloudStack an address belongs to one
network, in GCE to a region; so a reserved one lies in some network of its region until an instance uses it, and then
moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.translate import networks
from gstack.translate.names import gce_names
from gstack.translate.networks import Networks, Subnetwork
from gstack.translate.places import Place, Places

Row = Mapping[str, Any]

# gstack's marks on a public address.
NAME, EPHEMERAL, NETWORK = "address", "ephemeral", networks.NETWORK
KIND = "addresses"


def visible(rows: Iterable[Row]) -> list[Row]:
    """The addresses that GCE would list: no source NAT of a network, none that is an instance's for its life."""
    return [
        row
        for row in rows
        if not row.get("issourcenat")
        and EPHEMERAL not in networks.marks(row)
        and row.get("state") in ("Allocated", "Allocating")
    ]


def names_of(rows: Iterable[Row]) -> dict[str, str]:
    """The GCE name of every address, by CloudStack id. ``rows`` are those of one region. Those of other tools are
    called after the address."""
    return gce_names(
        rows,
        lambda row: networks.marks(row).get(NAME) or f"ip-{row['ipaddress']}",
        "id",
        lambda row: row.get("allocated") if NAME in networks.marks(row) else "9999-12-31T00:00:00+0000",
    )


def in_region(cloud: Cloud, places: Places, region: str) -> list[Row]:
    """The visible addresses of a region."""
    zones = {place.id for place in places.region(region)}
    return [row for row in visible(cloud.list("listPublicIpAddresses")) if row.get("zoneid") in zones]


def used(row: Row) -> bool:
    """Whether an address is in use: by an instance, a balancer or a forwarding."""
    return bool(row.get("virtualmachineid") or row.get("hasrules"))


def home(known: Networks, zones: Iterable[Place]) -> Subnetwork | None:
    """The isolated network, or a tier of the VPC, that holds a reserved address of a region until it is used: gstack's
    own first, then the oldest."""
    ids = {place.id for place in zones}
    found = [piece for piece in known.subnetworks() if piece.place.id in ids and piece.usable and piece.translated]
    return min(found, key=lambda piece: (not piece.owned, str(piece.row.get("created")), piece.id), default=None)
