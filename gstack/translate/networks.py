"""Networks and subnetworks from CloudStack's networks.

Apart because instances, firewalls, networks and subnetworks must agree on them. Every shared network with security
groups (the one of a basic zone, those of an advanced zone with security groups) is a piece of the GCE network
``default``, which has one subnetwork ``default`` in each region. The surprising thing: a region may have several such
networks; the oldest is ``default``, the others are subnetworks called after their zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gstack.errors import GceError, invalid, not_found
from gstack.protocol.links import parse
from gstack.translate import places
from gstack.translate.caller import Caller
from gstack.translate.names import label
from gstack.translate.places import Place, Places

Row = Mapping[str, Any]

DEFAULT = "default"


@dataclass(frozen=True)
class Subnetwork:
    """A piece of a network in one region: CloudStack's network ``row`` in the zone ``place``."""

    name: str
    network: str
    place: Place
    row: Row

    @property
    def id(self) -> str:
        """CloudStack's UUID of the network."""
        return str(self.row["id"])

    @property
    def region(self) -> str:
        """GCE's name of the region."""
        return self.place.region

    @property
    def path(self) -> str:
        """The link below the project."""
        return f"regions/{self.region}/subnetworks/{self.name}"


@dataclass(frozen=True)
class Network:
    """A GCE network and its pieces, of which there is at least one, by region and name."""

    name: str
    subnetworks: tuple[Subnetwork, ...]

    @property
    def oldest(self) -> Subnetwork:
        """The piece that gives the network its id and date."""
        return min(self.subnetworks, key=_age)

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
        """The network of that GCE name."""
        return self._by_name.get(name)

    def of(self, networkid: str | None) -> Subnetwork | None:
        """The subnetwork that a CloudStack network is, by its id."""
        return self._by_id.get(networkid or "")

    def subnetworks(self, region: str | None = None) -> list[Subnetwork]:
        """The subnetworks of a region, or all."""
        return [piece for network in self for piece in network.subnetworks if region is None or piece.region == region]


def networks(rows: Iterable[Row], known: Places) -> Networks:
    """The networks of rows of listNetworks in the zones that the caller sees."""
    found = [(place, row) for row in rows if _guarded(row) and (place := known.of(row.get("zoneid"))) is not None]
    taken: set[tuple[str, str]] = set()
    pieces: list[Subnetwork] = []
    for place, row in sorted(found, key=lambda pair: (str(pair[1].get("created", "")), str(pair[1]["id"]))):
        name = _free(place, row, taken)
        taken.add((place.region, name))
        pieces.append(Subnetwork(name, DEFAULT, place, row))
    pieces.sort(key=lambda piece: (piece.region, piece.name != DEFAULT, piece.name))
    return Networks([Network(DEFAULT, tuple(pieces))] if pieces else [])


def of_caller(caller: Caller, *, refresh: bool = False) -> Networks:
    """The networks that the caller's credential sees."""
    rows = caller.catalogue.networks(caller.cloud, refresh=refresh)
    return networks(rows, places.of_caller(caller, refresh=refresh))


def find(caller: Caller, name: str) -> Network | None:
    """The caller's network of that name; asks CloudStack again before saying None."""
    return of_caller(caller).get(name) or of_caller(caller, refresh=True).get(name)


def require_network(caller: Caller, reference: str | None, field: str) -> Network:
    """The network that a request names in ``field``; ``default`` where it names none. GceError invalid or notFound."""
    if not reference:
        name = DEFAULT
    else:
        parsed = parse(reference, collection="networks", project=caller.project.id, field=field)
        if parsed.project != caller.project.id:
            raise invalid(field, reference, "A network of another project cannot be used.")
        name = parsed.name
    found = find(caller, name)
    if found is None:
        raise not_found(f"projects/{caller.project.id}/global/networks/{name}")
    return found


def require_subnetwork(caller: Caller, reference: str, region: str, field: str) -> Subnetwork:
    """The subnetwork of ``region`` that a request names in ``field``. GceError invalid or notFound."""
    parsed = parse(reference, collection="subnetworks", project=caller.project.id, region=region, field=field)
    if parsed.project != caller.project.id or parsed.region != region:
        raise invalid(field, reference, f"Must be a subnetwork of this project in region {region}.")
    for refresh in (False, True):
        for piece in of_caller(caller, refresh=refresh).subnetworks(region):
            if piece.name == parsed.name:
                return piece
    raise GceError("notFound", f"The resource '{parsed.path}' was not found", location=field)


def _guarded(row: Row) -> bool:
    """Whether it is a shared network with security groups, on which machines can be deployed."""
    services = {service.get("name") for service in row.get("service", ())}
    return row.get("type") == "Shared" and "SecurityGroup" in services and row.get("canusefordeploy", True) is True


def _free(place: Place, row: Row, taken: set[tuple[str, str]]) -> str:
    digits = str(row["id"])[:8]
    for name in (DEFAULT, f"{DEFAULT}-{place.name}", f"{DEFAULT}-{digits}-{place.name}"):
        if (place.region, label(name)) not in taken:
            return label(name)
    return label(f"{DEFAULT}-{row['id']}")


def _age(piece: Subnetwork) -> tuple[str, str]:
    return str(piece.row.get("created", "")), piece.id
