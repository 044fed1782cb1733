"""Cloud routers from the source NAT of CloudStack's networks, and from the store.

Apart because networks and routers must agree on them. Every isolated network and every VPC translates what leaves it,
by itself and always. So a router is a name for that: one that a client made is a row of the store; where there is none
for a network in a region, one is shown that nobody has made, called after the network or its subnetwork.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gstack.protocol.ids import numeric_id
from gstack.translate import kept, networks
from gstack.translate.caller import Caller
from gstack.translate.names import label
from gstack.translate.networks import Networks, Subnetwork

KIND = "routers"
EVERYTHING = "ALL_SUBNETWORKS_ALL_IP_RANGES"


@dataclass(frozen=True)
class Router:
    """A router of ``network`` in ``region`` for the subnetworks ``pieces``; ``kept`` is what the store holds of it."""

    name: str
    network: str
    region: str
    pieces: Sequence[Subnetwork] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The numeric id."""
        return int(self.kept.get("number") or numeric_id(f"router:{self.pieces[0].vpc or self.pieces[0].id}"))

    @property
    def created(self) -> Any:
        """When it was made."""
        return self.kept["created"] if self.kept else self.pieces[0].row.get("created")

    @property
    def description(self) -> str | None:
        """What it was described as."""
        return self.kept.get("description") if self.kept else f"The source NAT of network {self.network}."

    @property
    def nats(self) -> list[dict[str, Any]]:
        """GCE's ``nats``."""
        if self.kept:
            return list(self.kept.get("nats") or [])
        return [{"name": "nat", "natIpAllocateOption": "AUTO_ONLY", "sourceSubnetworkIpRangesToNat": EVERYTHING}]

    @property
    def id(self) -> str:
        """What tells it from others."""
        return f"{self.region}/{self.name}"

    def addresses(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Those of the public addresses ``rows`` by which its instances are seen."""
        tiers, vpcs = {piece.id for piece in self.pieces}, {piece.vpc for piece in self.pieces if piece.vpc}
        mine = [row for row in rows if row.get("associatednetworkid") in tiers or row.get("vpcid") in vpcs]
        return [row["ipaddress"] for row in mine if row.get("issourcenat")]


def routers(known: Networks, rows: Sequence[Mapping[str, Any]]) -> list[Router]:
    """All routers of a project: those that the store keeps, and for networks without one those that nobody made."""
    found = []
    named = {(one["network"], one["region"]) for one in rows}
    for one in rows:
        pieces = [piece for piece in known.subnetworks(one["region"]) if piece.network == one["network"]]
        found.append(Router(one["name"], one["network"], one["region"], list(filter(_translating, pieces)), one))
    taken = {(router.region, router.name) for router in found}
    shown: dict[str, list[Subnetwork]] = {}
    for piece in filter(_translating, known.subnetworks()):
        if (piece.network, piece.region) not in named:
            shown.setdefault(piece.vpc or piece.id, []).append(piece)
    for pieces in shown.values():
        first = pieces[0]
        name = label(f"{(first.network if first.vpc else first.name)[:56]}-router")
        if (first.region, name) in taken:
            name = label(f"{name[:54]}-{first.id[:8]}")
        taken.add((first.region, name))
        found.append(Router(name, first.network, first.region, pieces))
    return found


def of_caller(caller: Caller) -> list[Router]:
    """All routers of the caller's project, as CloudStack has it now."""
    return routers(networks.of_caller(caller, refresh=True), kept.rows(caller.project, KIND))


def _translating(piece: Subnetwork) -> bool:
    return piece.translated and "SourceNat" in {one.get("name") for one in piece.row.get("service", ())}
