"""Public addresses of CloudStack as GCE's external addresses.

Apart because addresses and instances must agree on them. An address that was reserved by name says so in a tag; one
that came with an instance and goes with it says that. The surprising thing: in CloudStack an address that is used
belongs to one network, in GCE always to a region; so one that is reserved lies in no network until an instance uses it,
and such are listed only to who asks for that state: every list is two calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.translate import networks
from gstack.translate.names import gce_names
from gstack.translate.networks import Networks
from gstack.translate.places import Place, Places

Row = Mapping[str, Any]

# gstack's marks on a public address.
NAME, EPHEMERAL, NETWORK = "address", "ephemeral", networks.NETWORK
CREATED = "created"  # when it was reserved; CloudStack counts from its last move
FORWARDING = "forwarding-rule"  # its path below the project; of several, one of them
KEEPER = "forwarding-store"  # which gateway's rules it serves: see store/identity.py
KIND = "addresses"
RESERVED = "Reserved"
COMMAND = "listPublicIpAddresses"
READS: tuple[tuple[str, Row], ...] = ((COMMAND, {}), (COMMAND, {"state": RESERVED}))


def visible(rows: Iterable[Row]) -> list[Row]:
    """The addresses that GCE would list: no source NAT of a network, none that is an instance's for its life."""
    return [
        row
        for row in distinct(rows)
        if not row.get("issourcenat")
        and EPHEMERAL not in networks.marks(row)
        and row.get("state") in ("Allocated", "Allocating", RESERVED)
    ]


def every(cloud: Cloud, **where: str) -> list[Row]:
    """The caller's addresses, in networks and in none. Two calls, side by side."""
    found = cloud.together(*((command, {**params, **where}) for command, params in READS))
    return distinct(row for rows in found for row in rows)


def distinct(rows: Iterable[Row]) -> list[Row]:
    """``rows`` of several lists, each address once; the first list has the word."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(str(row["id"]), row)
    return list(found.values())


def names_of(rows: Iterable[Row]) -> dict[str, str]:
    """The GCE name of every address, by CloudStack id. ``rows`` are those of one region. Those of other tools are
    called after the address."""
    return gce_names(
        rows,
        lambda row: networks.marks(row).get(NAME) or f"ip-{row['ipaddress']}",
        "id",
        lambda row: created(row) if NAME in networks.marks(row) else "9999-12-31T00:00:00+0000",
    )


def in_region(cloud: Cloud, places: Places, region: str) -> list[Row]:
    """The visible addresses of a region. Two calls."""
    zones = {place.id for place in places.region(region)}
    return [row for row in visible(every(cloud)) if row.get("zoneid") in zones]


def used(row: Row) -> bool:
    """Whether an address is in use: by an instance, a forwarding rule, or rules of other tools."""
    return bool(row.get("virtualmachineid") or row.get("hasrules") or FORWARDING in networks.marks(row))


def created(row: Row) -> Any:
    """When an address was reserved, as CloudStack writes it."""
    return networks.marks(row).get(CREATED) or row.get("allocated")


def place(known: Networks, able: Sequence[Place]) -> Place:
    """The zone of a new address, of those that have any: one with a network of the caller's, else the first."""
    ids = {piece.place.id for piece in known.subnetworks() if piece.usable and piece.translated}
    return next((place for place in able if place.id in ids), able[0])
