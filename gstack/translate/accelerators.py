"""Accelerator types: the GPUs of CloudStack's service offerings.

Apart because machine types and accelerator types must agree. The surprising thing: CloudStack gives a GPU to a machine
by its offering only and lets users list no cards, so the offerings are what says which there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gstack.translate.caller import Caller
from gstack.translate.names import named
from gstack.translate.zonal import offered

Row = Mapping[str, Any]

WHOLE = "passthrough"  # CloudStack's profile of a card that is given as a whole


@dataclass(frozen=True)
class Accelerator:
    """A kind of GPU. ``id`` is CloudStack's UUID of its profile, ``most`` how many one machine may have, ``text`` what
    CloudStack calls it."""

    name: str
    id: str
    most: int
    text: str


def accelerators(offerings: Iterable[Row], zoneid: str | None = None) -> tuple[Accelerator, ...]:
    """The kinds in rows of listServiceOfferings, in order of name; in one CloudStack zone where one is given."""
    rows = [row for row in offerings if row.get("vgpuprofileid")]
    profiles = {str(row["vgpuprofileid"]): _text(row) for row in rows}
    # Before the zone counts: a name must not depend on the zone.
    names = named({"id": id, "name": text} for id, text in profiles.items())
    most: dict[str, int] = {}
    for row in rows:
        if offered(row, zoneid):
            profile = str(row["vgpuprofileid"])
            most[profile] = max(most.get(profile, 0), count(row))
    found = [(name, str(row["id"])) for name, row in names.items() if row["id"] in most]
    return tuple(Accelerator(name, id, most[id], profiles[id]) for name, id in sorted(found))


def count(offering: Row) -> int:
    """How many GPUs an offering gives."""
    return int(offering.get("gpucount") or 1)


def of_caller(caller: Caller, zoneid: str | None = None, *, refresh: bool = False) -> tuple[Accelerator, ...]:
    """The kinds that the caller may use, in one CloudStack zone or all."""
    return accelerators(caller.catalogue.service_offerings(caller.cloud, refresh=refresh), zoneid)


def find(caller: Caller, name: str, zoneid: str) -> Accelerator | None:
    """The caller's accelerator type of that name; asks CloudStack again before saying None."""
    for refresh in (False, True):
        for kind in of_caller(caller, zoneid, refresh=refresh):
            if kind.name == name:
                return kind
    return None


def of_offering(caller: Caller, offering: Row) -> tuple[str, int] | None:
    """Name and number of the GPUs that come with an offering."""
    profile = offering.get("vgpuprofileid")
    kind = next((one for one in of_caller(caller) if one.id == profile), None) if profile else None
    return (kind.name, count(offering)) if kind else None


def _text(row: Row) -> str:
    card, profile = str(row.get("gpucardname") or "gpu"), str(row.get("vgpuprofilename") or WHOLE)
    return card if profile == WHOLE else f"{card} {profile}"
