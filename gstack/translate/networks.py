"""Networks and subnetworks from CloudStack's networks.

Apart because instances, firewalls, networks and subnetworks must agree on them. Every shared network with security
groups (the one of a basic zone, those of an advanced zone with security groups) is a piece of the GCE network
``default``; an isolated network that gstack made says in its tags which subnetwork of which network it is; whatever
others made is a network of its own name, a VPC one with its tiers as subnetworks. The surprising thing: a network
without a subnetwork has no counterpart in CloudStack and is a row of the store until its first subnetwork is made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gstack.errors import invalid, not_found
from gstack.protocol.ids import numbered, numeric_id
from gstack.translate import kept, places, tags
from gstack.translate.caller import Caller
from gstack.translate.names import gce_names, label
from gstack.translate.places import Place, Places

Row = Mapping[str, Any]

DEFAULT = "default"
KIND = "networks"  # of the store's rows

# gstack's marks on an isolated network of its own.
NETWORK, SUBNETWORK, NUMBER, MODE, DOOMED = "network", "subnetwork", "network-id", "network-mode", "deleted"
CREATED = "network-created"  # the network's own date: its first subnetwork may be younger
AUTO, CUSTOM = "auto", "custom"

# What a subnetwork is in CloudStack.
GROUPS, ISOLATED, TIER, SHARED = "groups", "isolated", "tier", "shared"
# What the subnetworks of a network are where gstack makes them: isolated networks, or tiers of one VPC in a zone.
VPC = "vpc"
MODEL_TAG = "gstack-network-model"  # the key of params.resourceManagerTags by which a client chooses
# Its values. gcloud and Terraform send names as Resource Manager gives them out; gcloud looks up all others there.
MODELS = {prefix + model: model for prefix in ("", "tagValues/") for model in (ISOLATED, VPC)}

# The ranges of an auto network, as far apart as GCE's; CloudStack takes none larger than /22 (as shipped).
AUTO_RANGE, AUTO_STEP, WIDEST, NARROWEST = ipaddress.IPv4Network("10.128.0.0/9"), 4096, 22, 29
PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))


@dataclass(frozen=True)
class Subnetwork:
    """A piece of a network in one region: CloudStack's network ``row`` in the zone ``place``."""

    name: str
    network: str
    place: Place
    row: Row
    kind: str = GROUPS

    @property
    def id(self) -> str:
        """CloudStack's UUID of the network."""
        return str(self.row["id"])

    @property
    def number(self) -> int:
        """The numeric id. The network that this is a piece of may have its own from the same CloudStack network."""
        return numeric_id(f"subnetwork:{self.id}")

    @property
    def region(self) -> str:
        """GCE's name of the region."""
        return self.place.region

    @property
    def created(self) -> Any:
        """When it was made, in CloudStack's words."""
        return self.row.get("created")

    @property
    def path(self) -> str:
        """The link below the project."""
        return f"regions/{self.region}/subnetworks/{self.name}"

    @property
    def owned(self) -> bool:
        """Whether gstack made it, and may delete it and write its rules."""
        return NETWORK in marks(self.row)

    @property
    def usable(self) -> bool:
        """Whether gstack makes instances in it, which it can guard."""
        return self.kind in (GROUPS, ISOLATED) or (self.kind == TIER and self.owned)

    @property
    def translated(self) -> bool:
        """Whether its instances have external addresses by static NAT."""
        return self.kind in (ISOLATED, TIER)

    @property
    def vpc(self) -> str | None:
        """CloudStack's UUID of the VPC that it is a tier of."""
        return self.row.get("vpcid")

    @property
    def range(self) -> ipaddress.IPv4Network | None:
        """Its addresses."""
        text = self.row.get("cidr")
        return ipaddress.IPv4Network(text, strict=False) if text else None


@dataclass(frozen=True)
class Network:
    """A GCE network and its pieces by region and name; ``kept`` is what the store holds of it."""

    name: str
    subnetworks: tuple[Subnetwork, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What tells it from others."""
        return self.name

    @property
    def oldest(self) -> Subnetwork | None:
        """The piece that gives the network its id and date, unless the store does."""
        return min(self.subnetworks, key=_age, default=None)

    @property
    def auto(self) -> bool:
        """Whether it gets a subnetwork in a region when it is first used there."""
        modes = [self.kept.get("mode"), *(marks(piece.row).get(MODE) for piece in self.subnetworks)]
        known = next((mode for mode in modes if mode), None)
        return known == AUTO if known else self.name == DEFAULT

    @property
    def owned(self) -> bool:
        """Whether gstack made it, and may delete it."""
        return self.name != DEFAULT and bool(self.kept or any(piece.owned for piece in self.subnetworks))

    def model(self, otherwise: str) -> str:
        """ISOLATED or VPC: what gstack makes of its subnetworks; ``otherwise`` where it does not say."""
        kinds = {piece.kind for piece in self.subnetworks if piece.owned}
        found = VPC if TIER in kinds else ISOLATED if ISOLATED in kinds else otherwise
        return str(self.kept.get("model") or found)

    @property
    def number(self) -> int:
        """The numeric id."""
        stored = [self.kept.get("number"), *(marks(piece.row).get(NUMBER) for piece in self.subnetworks)]
        known = next((number for number in stored if number), None)
        found = [piece for piece in self.subnetworks if piece.kind == GROUPS] or list(self.subnetworks)
        if self.name == DEFAULT or known is None:
            piece = min(found, key=_age, default=None)
            return numeric_id(piece.id if piece is not None and not piece.owned else f"network:{self.name}")
        return int(known)

    @property
    def created(self) -> Any:
        """When it was made, as the store, gstack's mark or CloudStack writes it; None where nobody knows."""
        marked = (marks(piece.row).get(CREATED) for piece in self.subnetworks)
        known = self.kept.get("created") or next((date for date in marked if date), None)
        return known or (self.oldest.created if self.oldest else None)

    def in_region(self, region: str) -> Subnetwork | None:
        """The piece in a region that is meant when none is named."""
        found = [piece for piece in self.subnetworks if piece.region == region]
        return next((piece for piece in found if piece.name == DEFAULT), found[0] if found else None)

    def in_zone(self, zoneid: str) -> Subnetwork | None:
        """The piece in a zone, by CloudStack's id of it."""
        found = [piece for piece in self.subnetworks if piece.place.id == zoneid]
        return min(found, key=_age, default=None)


class Networks:
    """All networks that a caller sees."""

    def __init__(self, found: Iterable[Network]) -> None:
        self._by_name = {network.name: network for network in found}
        self._by_id = {piece.id: piece for network in self for piece in network.subnetworks}

    def __iter__(self) -> Iterator[Network]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Network | None:
        """The network of that GCE name or number."""
        return self._by_name.get(name) or numbered(name, self)

    def of(self, networkid: str | None) -> Subnetwork | None:
        """The subnetwork that a CloudStack network is, by its id."""
        return self._by_id.get(networkid or "")

    def subnetworks(self, region: str | None = None) -> list[Subnetwork]:
        """The subnetworks of a region, or all."""
        return [piece for network in self for piece in network.subnetworks if region is None or piece.region == region]


def networks(rows: Iterable[Row], known: Places, kept: Iterable[Mapping[str, Any]] = ()) -> Networks:
    """The networks of rows of listNetworks in the zones that the caller sees, and those that the store keeps."""
    found = [(place, row) for row in rows if _shown(row) and (place := known.of(row.get("zoneid"))) is not None]
    found.sort(key=lambda pair: (str(pair[1].get("created", "")), str(pair[1]["id"])))
    stored = {str(one["name"]): one for one in kept}
    names = _names([row for _, row in found], stored)
    taken: set[tuple[str, str]] = set()
    pieces: dict[str, list[Subnetwork]] = {name: [] for name in stored}
    if any(isolating(place) for place in known):
        pieces.setdefault(DEFAULT, [])
    for place, row in sorted(found, key=lambda pair: NETWORK not in marks(pair[1])):
        kind = _kind(row)
        name = _free(place, row, kind, names[row["id"]], taken)
        taken.add((place.region, name))
        pieces.setdefault(names[row["id"]], []).append(Subnetwork(name, names[row["id"]], place, row, kind))
    for some in pieces.values():
        some.sort(key=lambda piece: (piece.region, piece.name != DEFAULT, piece.name))
    return Networks(Network(name, tuple(pieces[name]), stored.get(name, {})) for name in sorted(pieces))


def of_caller(caller: Caller, *, refresh: bool = False) -> Networks:
    """The networks that the caller's credential sees."""
    rows = caller.catalogue.networks(caller.cloud, refresh=refresh)
    known, stored = places.of_caller(caller), kept.rows(caller.project, KIND)
    if stored:
        return networks(rows, known, stored)
    return rows.made((Networks, known), lambda found: networks(found, known))


def find(caller: Caller, name: str) -> Network | None:
    """The caller's network of that name or number; asks CloudStack again before saying None."""
    return of_caller(caller).get(name) or of_caller(caller, refresh=True).get(name)


def find_subnetwork(caller: Caller, region: str, name: str) -> Subnetwork | None:
    """The subnetwork of that name or number; asks CloudStack again before saying None."""
    for refresh in (False, True):
        pieces = list(of_caller(caller, refresh=refresh).subnetworks(region))
        found = next((piece for piece in pieces if piece.name == name), None) or numbered(name, pieces)
        if found is not None:
            return found
    return None


def find_piece(caller: Caller, networkid: str | None) -> Subnetwork | None:
    """The subnetwork that a CloudStack network is, by its id; asks CloudStack again before saying None."""
    return find_pieces(caller, [networkid])[networkid]


def find_pieces(caller: Caller, networkids: Iterable[str | None]) -> dict[str | None, Subnetwork | None]:
    """As :func:`find_piece`, of several at once: CloudStack is asked again once, whoever is not known."""
    found: dict[str | None, Subnetwork | None] = dict.fromkeys(networkids)
    for refresh in (False, True) if found else ():
        known = of_caller(caller, refresh=refresh)
        found = {one: known.of(one) for one in found}
        if all(found.values()):
            break
    return found


def located(caller: Caller, wanted: str) -> Network:
    """The network of a URL, by name or number, as CloudStack has it now; or GCE's 404."""
    found = of_caller(caller, refresh=True).get(wanted)
    if found is None:
        raise not_found(f"projects/{caller.project.id}/global/networks/{wanted}")
    return found


def require_network(caller: Caller, reference: str | None, field: str) -> Network:
    """The network that a request names in ``field``; ``default`` where it names none. GceError invalid or notFound."""
    if not reference:
        name = DEFAULT
    else:
        parsed = caller.refer(reference, collection="networks", field=field)
        if parsed.project != caller.project.id:
            raise invalid(field, reference, "A network of another project cannot be used.")
        name = parsed.name
    found = find(caller, name)
    if found is None:
        raise not_found(f"projects/{caller.project.id}/global/networks/{name}")
    return found


def ipv4(text: str, field: str) -> ipaddress.IPv4Address:
    """The address that a request has in ``field``. GceError invalid."""
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise invalid(field, text, "Must be an IPv4 address.") from None


def isolating(place: Place) -> bool:
    """Whether isolated networks can be made in a zone."""
    return not place.basic and not place.security_groups


def marks(row: Row) -> dict[str, str]:
    """gstack's own marks on a CloudStack network."""
    return tags.own_values(row.get("tags") or ())


def marks_of(plan: Mapping[str, Any]) -> dict[str, str]:
    """What a VPC, or a subnetwork beside its own name, is marked with, by :func:`plan`."""
    marked = {NETWORK: plan["network"], NUMBER: plan["number"], MODE: plan["mode"]}
    return {**marked, CREATED: plan["created"]} if plan.get("created") else marked  # older plans have none


def unfinished(network: str, subnetwork: str) -> str:
    """The displaytext of an isolated network that has not got its marks yet."""
    return f"Subnetwork {subnetwork} of {network}{_MAKING}"


def unfinished_vpc(network: str) -> str:
    """The displaytext of a VPC that has not got its marks yet."""
    return f"VPC of {network}{_MAKING}"


def is_unfinished(row: Row) -> bool:
    """Whether a network or a VPC is one that gstack has made and not marked yet."""
    return NETWORK not in marks(row) and str(row.get("displaytext", "")).endswith(_MAKING)


def plan(
    caller: Caller, network: Network, name: str, place: Place, cidr: ipaddress.IPv4Network, description: str = ""
) -> dict[str, Any]:
    """What the workflows need to make a subnetwork of ``network`` in the zone ``place``; JSON."""
    whole = next(one for one in PRIVATE if cidr.subnet_of(one))
    return {
        "network": network.name,
        "model": network.model(caller.settings["NETWORK_MODEL"]),
        "vpc_range": caller.settings["VPC_RANGE"] or str(whole),
        "number": str(network.number),
        "created": network.created if network.owned else None,
        "mode": AUTO if network.auto else CUSTOM,
        "name": name,
        "zone": place.name,
        "zoneid": place.id,
        "cidr": str(cidr),
        "description": description,
    }


def auto_plan(caller: Caller, known: Networks, network: Network, place: Place) -> dict[str, Any]:
    """As :func:`plan`, for the piece that an auto network gets in a zone where it is first used."""
    taken = {piece.name for piece in known.subnetworks(place.region)}
    wanted = (network.name, f"{network.name}-{place.name}", f"{network.name}-{place.id[:8]}")
    name = next(name for name in map(label, wanted) if name not in taken or name == label(wanted[-1]))
    used = [piece.range for piece in network.subnetworks if piece.range is not None]
    start = int(AUTO_RANGE.network_address)
    ranges = (
        ipaddress.IPv4Network((start + n * AUTO_STEP, WIDEST)) for n in range(AUTO_RANGE.num_addresses // AUTO_STEP)
    )
    free = next(one for one in ranges if not any(one.overlaps(other) for other in used))
    return plan(caller, network, name, place, free)


_MAKING = " (being made by gstack)"


def _shown(row: Row) -> bool:
    if not row.get("cidr") and row.get("type") != "Shared":
        return False
    if DOOMED in marks(row) or is_unfinished(row):
        return False
    return row.get("type") in ("Shared", "Isolated") and row.get("canusefordeploy", True) is True


def _kind(row: Row) -> str:
    services = {service.get("name") for service in row.get("service", ())}
    if row.get("type") == "Shared":
        return GROUPS if "SecurityGroup" in services else SHARED
    return TIER if row.get("vpcid") else ISOLATED


def _names(rows: Sequence[Row], stored: Iterable[str]) -> dict[str, str]:
    """The name of the network that each row is a piece of, by CloudStack id."""
    names = {row["id"]: DEFAULT for row in rows if _kind(row) == GROUPS}
    names |= {row["id"]: label(marks(row)[NETWORK]) for row in rows if NETWORK in marks(row)}
    others = [row for row in rows if row["id"] not in names]
    # Names of ours come first: a row without a date counts as the oldest.
    reserved = [{"id": f"={name}", "name": name} for name in {DEFAULT, *stored, *names.values()}]
    whole = [
        {
            "id": row.get("vpcid") or row["id"],
            "name": row.get("vpcname") or row.get("name"),
            "created": row.get("created") or "1971-01-01T00:00:00+0000",
        }
        for row in others
    ]
    found = gce_names([*reserved, *whole])
    return names | {row["id"]: found[str(row.get("vpcid") or row["id"])] for row in others}


def _free(place: Place, row: Row, kind: str, network: str, taken: set[tuple[str, str]]) -> str:
    digits = str(row["id"])[:8]
    first = {GROUPS: DEFAULT, TIER: str(row.get("name", ""))}.get(kind, network)
    first = label(marks(row).get(SUBNETWORK, first))
    for name in (first, f"{first}-{place.name}", f"{first}-{digits}-{place.name}"):
        if (place.region, label(name)) not in taken:
            return label(name)
    return label(f"{first}-{row['id']}")


def _age(piece: Subnetwork) -> tuple[str, str]:
    return str(piece.row.get("created", "")), piece.id
