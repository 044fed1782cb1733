"""Zones and regions from CloudStack's zones.

Apart because nearly every link and every request names a zone. The surprising thing: clients cut the last
two characters off a zone's name to get its region, so a zone that is not called ``<region>-<one
character>`` is shown under another name than CloudStack's; it is still found under its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, digits
from typing import Any

from gstack.errors import not_found
from gstack.translate.caller import Caller
from gstack.translate.names import LONGEST, is_label, label

Row = Mapping[str, Any]

_FORM = re.compile(r"(?P<region>[a-z](?:[-a-z0-9]*[a-z0-9])?)-[a-z0-9]")
_LETTERS = ascii_lowercase + digits
_ROOM = LONGEST - 2  # for "-a"


@dataclass(frozen=True)
class Place:
    """A zone as GCE shows it, its region, and CloudStack's row."""

    name: str
    region: str
    row: Row

    @property
    def id(self) -> str:
        """CloudStack's UUID of the zone."""
        return str(self.row["id"])

    @property
    def cloudstack_name(self) -> str:
        """CloudStack's name of the zone."""
        return str(self.row["name"])

    @property
    def status(self) -> str:
        """UP or DOWN. An ordinary user does not see disabled zones at all."""
        return "UP" if self.row.get("allocationstate", "Enabled") == "Enabled" else "DOWN"

    @property
    def security_groups(self) -> bool:
        """Whether machines here are guarded by security groups."""
        return bool(self.row.get("securitygroupsenabled"))

    @property
    def basic(self) -> bool:
        """Whether the zone has Basic networking: one shared network, no isolated ones."""
        return self.row.get("networktype") == "Basic"


class Places:
    """All zones that a user sees, in order of name."""

    def __init__(self, all_places: Iterable[Place]) -> None:
        self.all = tuple(sorted(all_places, key=lambda place: place.name))
        self._by_name = {place.name: place for place in self.all}
        self._by_id = {place.id: place for place in self.all}
        self._by_own_name = {place.cloudstack_name.lower(): place for place in self.all}

    def __iter__(self) -> Iterator[Place]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def zone(self, name: str) -> Place | None:
        """The zone of that GCE name, else of that CloudStack name in any case, else None."""
        return self._by_name.get(name) or self._by_own_name.get(name.lower())

    def of(self, zoneid: str | None) -> Place | None:
        """The zone of that CloudStack id."""
        return self._by_id.get(zoneid or "")

    def shown(self, row: Row) -> Place:
        """The zone of a row that says which one it is in. One that was disabled meanwhile is no longer listed."""
        found = self.of(row["zoneid"])
        if found is None:
            name = label(row["zonename"])
            found = Place(name, name, {"id": row["zoneid"], "name": row["zonename"]})
        return found

    def regions(self) -> dict[str, tuple[Place, ...]]:
        """The zones of every region, both in order of name."""
        grouped: dict[str, list[Place]] = {}
        for place in self.all:
            grouped.setdefault(place.region, []).append(place)
        return {region: tuple(grouped[region]) for region in sorted(grouped)}

    def region(self, name: str) -> tuple[Place, ...]:
        """The zones of one region; empty where there is no such region."""
        return tuple(place for place in self.all if place.region == name)


def places(zones: Iterable[Row], overrides: Mapping[str, str] | None = None) -> Places:
    """The places of rows of listZones. ``overrides`` (the setting REGIONS) maps CloudStack's zone name to a
    region; its order gives the letters of zones whose own names do not fit that region."""
    overrides = overrides or {}
    order = {zone: number for number, zone in enumerate(overrides)}
    taken: set[str] = set()
    found: list[Place] = []
    # Names that fit as they are come first, so that no other zone takes one of them away.
    for zone in sorted(
        zones, key=lambda row: (not _fits(row["name"], overrides), order.get(row["name"], 0), str(row["id"]))
    ):
        name, region = _named(zone, overrides, taken)
        taken.add(name)
        found.append(Place(name, region, zone))
    return Places(found)


def of_caller(caller: Caller, *, refresh: bool = False) -> Places:
    """The places that the caller's credential sees."""
    rows = caller.catalogue.zones(caller.cloud, refresh=refresh)
    return rows.made(Places, lambda zones: places(zones, caller.settings["REGIONS"]))


def zone_of(caller: Caller, name: str) -> Place | None:
    """The caller's zone of that name; asks CloudStack again before saying None."""
    return of_caller(caller).zone(name) or of_caller(caller, refresh=True).zone(name)


def _fits(name: str, overrides: Mapping[str, str]) -> bool:
    found = _FORM.fullmatch(name) if is_label(name) else None
    return found is not None and overrides.get(name, found["region"]) == found["region"]


def _named(zone: Row, overrides: Mapping[str, str], taken: set[str]) -> tuple[str, str]:
    own = str(zone["name"])
    slug = label(own)
    form = _FORM.fullmatch(slug)
    region = label(overrides[own], _ROOM) if own in overrides else form["region"] if form else slug
    if form and form["region"] == region and slug not in taken:
        return slug, region
    region = label(region, _ROOM)
    first = _turn(own, overrides)
    for letter in _LETTERS[first:] + _LETTERS[:first]:
        if f"{region}-{letter}" not in taken:
            return f"{region}-{letter}", region
    region = label(f"{region[:50]}-{zone['id'][:8]}", _ROOM)  # more than 36 zones of one region
    return f"{region}-a", region


def _turn(own: str, overrides: Mapping[str, str]) -> int:
    """Which letter is a zone's by the order of the settings: it holds whether the zones before it are seen
    or not."""
    rivals = [zone for zone, region in overrides.items() if region == overrides.get(own)]
    rivals = [zone for zone in rivals if not _fits(zone, overrides)]
    return rivals.index(own) % len(_LETTERS) if own in rivals else 0


def require_zone(caller: Caller, name: str) -> Place:
    """The caller's zone of that name, or GCE's 404 for the zone."""
    place = zone_of(caller, name)
    if place is None:
        raise not_found(f"projects/{caller.project.id}/zones/{name}")
    return place


def require_region(caller: Caller, name: str) -> str:
    """The name of the caller's region of that name, or GCE's 404 for the region."""
    if not (of_caller(caller).region(name) or of_caller(caller, refresh=True).region(name)):
        raise not_found(f"projects/{caller.project.id}/regions/{name}")
    return name


def by_zone(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of CloudStack's by the id of their zone: names need be unique in one zone only."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["zoneid"]), []).append(row)
    return found
