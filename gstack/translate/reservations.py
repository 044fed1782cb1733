"""GCE's addresses of both kinds: public ones of CloudStack, and internal ones, which are reserved in the store.

Apart from the public addresses alone because instances and addresses must agree on what is reserved. The surprising
thing: CloudStack gives guests addresses of a network as it likes. So wherever one is reserved in a subnetwork, gstack
chooses for instances that ask for none, and passes over what is reserved.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError, invalid
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import addresses, kept, machines, networks, places, tags
from gstack.translate.caller import Caller
from gstack.translate.names import label
from gstack.translate.networks import Subnetwork
from gstack.translate.places import Place, Places

Row = Mapping[str, Any]

KIND = "internal-addresses"


@dataclass(frozen=True)
class Address:
    """One address: ``row`` is CloudStack's of a public one, what the store holds of an internal one. ``user`` is the
    link of the instance or forwarding rule that has it, below the project."""

    name: str
    region: str
    row: Row
    internal: bool = False
    user: str | None = None

    @property
    def id(self) -> str:
        """What tells it from others."""
        return f"{self.region}/{self.name}" if self.internal else str(self.row["id"])

    @property
    def number(self) -> int:
        """The numeric id."""
        return int(self.row["number"]) if self.internal else numeric_id(self.row["id"])

    @property
    def address(self) -> str:
        """The address itself."""
        return str(self.row["address" if self.internal else "ipaddress"])

    @property
    def used(self) -> bool:
        """Whether anything has it."""
        return bool(self.user) if self.internal else addresses.used(self.row)

    @property
    def created(self) -> Any:
        """When it was reserved."""
        return self.row.get("created") if self.internal else addresses.created(self.row)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self.row.get("labels") or {}) if self.internal else tags.labels(self.row.get("tags") or ())

    @property
    def description(self) -> str | None:
        """What it was described as."""
        found = self.row if self.internal else overlay.read(addresses.KIND, self.row["id"])
        return found.get("description")


def of_region(caller: Caller, region: str) -> list[Address]:
    """The addresses of a region. Two calls; a third one where internal ones are reserved."""
    known = places.of_caller(caller)
    return [*external(addresses.in_region(caller.cloud, known, region), known), *internal(caller, region)]


def external(rows: Sequence[Row], known: Places) -> list[Address]:
    """Public addresses of one region, CloudStack's ``rows``."""
    names = addresses.names_of(rows)
    found = [(row, known.of(row.get("zoneid"))) for row in rows]
    return [Address(names[row["id"]], place.region, row, user=_user(row, place)) for row, place in found if place]


def internal(caller: Caller, region: str | None = None) -> list[Address]:
    """The internal addresses of a region, or all. One call where there are any."""
    mine = [row for row in stored(caller) if region in (None, row["region"])]
    guests = caller.cloud.list("listVirtualMachines", details=["nics"]) if mine else []
    return [_internal(row, guests, places.of_caller(caller)) for row in mine]


def find(caller: Caller, region: str, name: str) -> Address | None:
    """The address of that GCE name, or numeric id, in a region."""
    return next((one for one in of_region(caller, region) if name in (one.name, str(one.number))), None)


def stored(caller: Caller) -> list[dict[str, Any]]:
    """What the store holds of internal addresses."""
    return kept.rows(caller.project, KIND)


def given(caller: Caller, region: str, piece: Subnetwork | None, text: str | None, where: str) -> str | None:
    """The address that a field of an instance names, which may be a link of an internal address."""
    if not text or "/" not in text:
        return text
    reference = caller.refer(text, collection="addresses", field=where, region=region)
    for row in stored(caller) if reference.project == caller.project.id else ():
        if reference.name in (row["name"], str(row["number"])) and row["region"] == reference.region:
            if piece is None or piece.id != row["networkid"]:
                raise invalid(where, text, f"It is an address of subnetwork '{row['subnetwork']}'.")
            return str(row["address"])
    raise invalid(where, text, "The referenced address resource cannot be found.")


def choose(caller: Caller, piece: Subnetwork) -> str | None:
    """An address for an instance that asks for none; None where CloudStack may choose, as none is reserved."""
    reserved = [row["address"] for row in stored(caller) if row["networkid"] == piece.id]
    return free(caller.cloud, piece, reserved) if reserved else None


def free(cloud: Cloud, piece: Subnetwork, reserved: Iterable[str]) -> str:
    """An address of a subnetwork that is neither ``reserved`` nor an instance's. Raises GceError ``stockout``."""
    net = piece.range
    rows = cloud.list("listVirtualMachines", networkid=piece.id, details=["nics"])
    taken = {*reserved, *_worn(rows, piece.id), str(piece.row.get("gateway"))}
    # The second one is what a redundant virtual router of a VPC may have.
    rest = [str(one) for one in list(net.hosts())[2:] if str(one) not in taken] if net is not None else []
    if not rest:
        raise GceError("stockout", f"The range of subnetwork '{piece.name}' has no free address.")
    return random.choice(rest)  # noqa: S311 - so that those who choose at once seldom choose alike


def _worn(rows: Sequence[Row], networkid: str) -> set[str]:
    nics = [nic for row in machines.visible(rows) for nic in row.get("nic") or () if nic.get("networkid") == networkid]
    return {text for nic in nics for text in _addresses(nic)}


def _addresses(nic: Row) -> set[str]:
    more = {one["ipaddress"] for one in nic.get("secondaryip") or ()}
    return more | ({nic["ipaddress"]} if nic.get("ipaddress") else set())


def _internal(row: Row, guests: Sequence[Row], known: Places) -> Address:
    for guest in machines.visible(guests):
        place = known.of(guest["zoneid"])
        nics = [nic for nic in guest.get("nic") or () if nic.get("networkid") == row["networkid"]]
        if place is not None and any(row["address"] in _addresses(nic) for nic in nics):
            user = f"zones/{place.name}/instances/{label(machines.wanted_name(guest))}"
            return Address(row["name"], row["region"], row, internal=True, user=user)
    return Address(row["name"], row["region"], row, internal=True)


def _user(row: Row, place: Place) -> str | None:
    if not row.get("virtualmachineid"):
        return networks.marks(row).get(addresses.FORWARDING)
    machine = {
        "id": row["virtualmachineid"],
        "name": row.get("virtualmachinename") or "",
        "displayname": row.get("virtualmachinedisplayname") or "",
    }
    return f"zones/{place.name}/instances/{label(machines.wanted_name(machine))}"
