"""From networkInterfaces of instances.insert to a CloudStack network and addresses; what can be wrong is found here.

Apart from the other references of an instance because zones differ in it: where security groups guard, its own
address is what the world sees; in an isolated network it has one of its own by static NAT, if it asks for it. The
surprising thing: the network may not be there yet, as an auto network makes its piece in a zone when it is first used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gstack.errors import GceError, invalid
from gstack.translate import addresses, networks, places, reservations
from gstack.translate.caller import Caller
from gstack.translate.networks import Network, Subnetwork
from gstack.translate.places import Place

Body = Mapping[str, Any]

ALL = "resource.networkInterfaces"
MOST = 8  # as GCE allows


@dataclass(frozen=True)
class Interface:
    """One interface: its network (GCE's name), the piece of it that is there or the plan of one to be made, and the
    addresses asked for: inside (``address``, and ``aliases``, an empty one for any), and outside what
    :func:`gstack.operations.addresses.attach` needs."""

    network: str
    piece: Subnetwork | None
    make: dict[str, Any] | None = None
    address: str | None = None
    access: dict[str, Any] | None = None
    aliases: tuple[str, ...] = ()

    @property
    def isolated(self) -> bool:
        """Whether it is in an isolated network or a VPC's tier, where there are no security groups."""
        return self.piece is None or self.piece.translated

    @property
    def deploy(self) -> dict[str, Any]:
        """What deployVirtualMachine is told where security groups guard, and there is one interface."""
        piece = self.piece
        return {
            **({"networkids": [piece.id]} if piece is not None and not piece.place.basic else {}),
            **({"ipaddress": self.address} if self.address else {}),
        }

    @property
    def plan(self) -> dict[str, Any]:
        """What the workflow needs; JSON."""
        return {
            "networkid": self.piece.id if self.piece else None,
            "make": self.make,
            "address": self.address,
            "access": self.access,
            "aliases": list(self.aliases),
        }


def interfaces(caller: Caller, place: Place, aliases: Sequence[str], given: Sequence[Body]) -> list[Interface]:
    """The interfaces of an instance in a zone. ``aliases`` are the project's names. Raises GceError naming
    the field."""
    if not given:
        raise invalid(ALL, "", "At least one network interface is required.")
    if len(given) > 1 and not networks.isolating(place):
        raise invalid(ALL, len(given), "This zone allows one network interface.")
    found: list[Interface] = []
    for index, one in enumerate(given):
        known = [other.network for other in found]
        found.append(another(caller, place, aliases, one, known, f"{ALL}[{index}]"))
    return found


def another(
    caller: Caller, place: Place, aliases: Sequence[str], given: Body, known: Sequence[str], where: str = "resource"
) -> Interface:
    """The interface that ``given`` asks for, of an instance that has some in the networks ``known``. Raises as
    :func:`interfaces`."""
    made = _interface(caller, place, aliases, given, where)
    if made.network in known:
        why = "Each interface of an instance must be in a network of its own."
        raise invalid(f"{where}.network", made.network, why)
    if known and not made.isolated:
        raise invalid(f"{where}.network", made.network, "It allows one network interface.")
    if len(known) == MOST:
        raise invalid(where, len(known), f"At most {MOST} network interfaces are allowed.")
    return made


def deploy_parameters(nics: Sequence[Body]) -> dict[str, Any]:
    """What deployVirtualMachine is told of several interfaces (:attr:`Interface.plan`) whose networks are there. Of one
    it hears as of those elsewhere, as its errors are plainer then."""
    first = nics[0]
    if len(nics) == 1:
        return {"networkids": [first["networkid"]], **({"ipaddress": first["address"]} if first["address"] else {})}
    pairs = [{"networkid": nic["networkid"], **({"ip": nic["address"]} if nic["address"] else {})} for nic in nics]
    return {"iptonetworklist": pairs}


def _interface(caller: Caller, place: Place, aliases: Sequence[str], given: Body, where: str) -> Interface:
    found = _network(caller, place, aliases, given, where)
    configs = given.get("accessConfigs") or []
    if len(configs) > 1:
        raise invalid(f"{where}.accessConfigs", len(configs), "At most one access config is allowed.")
    outside, field = (configs[0].get("natIP") if configs else None), f"{where}.accessConfigs[0].natIP"
    row = found.piece.row if found.piece else found.make or {}
    asked = reservations.given(caller, place.region, found.piece, given.get("networkIP"), f"{where}.networkIP")
    inside = own_address(asked, row, f"{where}.networkIP")
    if inside is None and found.isolated and found.piece is not None:
        inside = reservations.choose(caller, found.piece)
    more = alias_addresses(given.get("aliasIpRanges") or [], row, where, inside)
    found = replace(found, address=inside, aliases=more)
    if found.isolated:
        return replace(found, access=access(caller, place, found, outside, field) if configs else None)
    outside = own_address(outside, row, field)
    if inside and outside and inside != outside:
        # Nothing is translated here: the machine's own address is what the world sees.
        raise invalid(field, outside, f"In this zone it must be networkIP, '{inside}'.")
    return replace(found, address=inside or outside)


def alias_addresses(given: Sequence[Body], row: Body, where: str, own: str | None) -> tuple[str, ...]:
    """The addresses that ``aliasIpRanges`` asks for, empty where any will do; ``row`` is their network's."""
    found: list[str] = []
    for index, entry in enumerate(given):
        field, text = f"{where}.aliasIpRanges[{index}].ipCidrRange", str(entry.get("ipCidrRange") or "")
        single, slash, bits = text.partition("/")
        if not text or (slash and bits != "32"):
            raise invalid(
                field, text, "CloudStack gives an interface single further addresses: say one, or /32 for any."
            )
        address = own_address(single, row, field) or ""
        if address and address in (own, *found):
            raise invalid(field, text, "The address is asked for twice.")
        found.append(address)
    return tuple(found)


def access(caller: Caller, place: Place, found: Interface, given: str | None, where: str) -> dict[str, Any]:
    """What the workflow needs for an external address: of the reserved one ``given``, or of one that goes with the
    instance."""
    chosen = None
    if given:
        rows = addresses.in_region(caller.cloud, places.of_caller(caller), place.region)
        row = next((row for row in rows if row["ipaddress"] == given), None)
        if row is None:
            raise invalid(where, given, "The specified external IP address was not found in this region.")
        if row.get("zoneid") != place.id:
            raise invalid(where, given, f"CloudStack has it in another zone than {place.name}.")
        if addresses.used(row):
            message = f"External IP address: {given} is already in-use."
            raise GceError("resourceInUseByAnotherResource", message, location=where)
        chosen = row["id"]
    return {
        "address": chosen,
        "networkid": found.piece.id if found.piece else None,
        "network": found.network,
        "vpcid": found.piece.vpc if found.piece else None,
        "zoneid": place.id,
    }


def _network(caller: Caller, place: Place, aliases: Sequence[str], given: Body, at: str) -> Interface:
    """The network and its piece that an interface names; one of both is enough."""
    link, below, where = given.get("network"), given.get("subnetwork"), f"{at}.network"
    piece = _subnetwork(caller, place, aliases, below, f"{at}.subnetwork") if below else None
    name = piece.network if piece else networks.DEFAULT
    if link:
        parsed = caller.refer(link, collection="networks", field=where)
        name = parsed.name if parsed.project in aliases else ""
    found = networks.find(caller, name)
    if found is None:
        raise invalid(where, link or name, "The referenced network resource cannot be found.")
    name = found.name
    if piece is not None and piece.network != name:
        raise invalid(f"{at}.subnetwork", below, "The referenced subnetwork resource cannot be found.")
    if piece is None and not found.auto:  # another subnetwork may have been made since
        found = networks.of_caller(caller, refresh=True).get(name) or found
    piece = piece or _only(found, place, where)
    if piece is None and networks.isolating(place):
        known = networks.of_caller(caller, refresh=True)
        found = known.get(name) or found
        piece = found.in_zone(place.id)
        if piece is None and found.auto:
            return Interface(name, None, make=networks.auto_plan(caller, known, found, place))
    if piece is None:
        raise invalid(where, link or name, f"The network '{name}' does not reach zone {place.name}.")
    if not piece.usable:
        why = "No firewall of gstack's would guard an instance in an open shared network or another tool's VPC."
        raise invalid(where, link or name, why)
    return Interface(name, piece)


def _only(network: Network, place: Place, where: str) -> Subnetwork | None:
    """The piece of a network in a zone that is meant where none is named."""
    here = [piece for piece in network.subnetworks if piece.place.id == place.id]
    if len(here) > 1 and not network.auto:
        why = f"The network has several subnetworks in zone {place.name}. Say which with subnetwork."
        raise invalid(where, network.name, why)
    return network.in_zone(place.id)


def _subnetwork(caller: Caller, place: Place, aliases: Sequence[str], given: str, where: str) -> Subnetwork:
    parsed = caller.refer(given, collection="subnetworks", field=where, region=place.region)
    if parsed.region != place.region:
        raise invalid(where, given, f"It must be in the instance's own region, {place.region}.")
    mine = parsed.project in aliases
    found = networks.find_subnetwork(caller, place.region, parsed.name) if mine else None
    if found is None:
        raise invalid(where, given, "The referenced subnetwork resource cannot be found.")
    if found.place.id != place.id:
        why = f"In CloudStack it lies in zone {found.place.name}, the instance in {place.name}."
        raise invalid(where, given, why)
    return found


def own_address(text: str | None, row: Mapping[str, Any], where: str) -> str | None:
    """An address for a machine. CloudStack hides why it refuses one, so the range is looked at here."""
    if not text:
        return None
    wanted = networks.ipv4(text, where)
    if row.get("cidr"):
        net = ipaddress.IPv4Network(row["cidr"], strict=False)
        gateway = ipaddress.IPv4Address(row["gateway"]) if row.get("gateway") else net.network_address + 1
        if wanted not in net or wanted in (net.network_address, net.broadcast_address, gateway):
            raise invalid(where, text, f"It is not a free address of the subnetwork's range, {net}.")
    return str(wanted)
