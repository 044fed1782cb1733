"""diskTypes: CloudStack's disk offerings, and Google's ``pd-*`` names for those of a custom size.

Visible differences: disk types have no numeric history; an offering with a fixed size admits that size only.
Upstream calls: none once the catalogue is cached.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gstack.protocol.call import Call
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate import disk_types, zonal
from gstack.translate.caller import Caller
from gstack.translate.disk_types import DiskType
from gstack.translate.places import Place
from gstack.translate.times import NO_DATE, rfc3339

COMMANDS = ("listZones", "listDiskOfferings")
COLLECTION = "diskTypes"
# What CloudStack allows for a custom size unless the operator sets custom.diskoffering.size.min and .max.
LEAST_GB, MOST_GB = 1, 1024


@method("compute.diskTypes.get", needs=COMMANDS)
def get(call: Call) -> dict[str, Any]:
    """One disk type."""
    return zonal.one(call, COLLECTION, call.params["diskType"], disk_types.find, view)


@method("compute.diskTypes.list", needs=COMMANDS)
def list_(call: Call) -> dict[str, Any]:
    """The disk types of one zone."""
    return zonal.of_zone(call, _offered, view)


@method("compute.diskTypes.aggregatedList", needs=COMMANDS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The disk types of every zone."""
    return zonal.of_all_zones(call, COLLECTION, _offered, view)


def _offered(caller: Caller, zoneid: str) -> Iterable[DiskType]:
    return disk_types.of_caller(caller, zoneid).listed()


def view(call: Call, place: Place, row: DiskType) -> dict[str, Any]:
    """A disk type."""
    sizes = f"{LEAST_GB}GB-{MOST_GB}GB" if row.custom_size else f"{row.size_gb}GB-{row.size_gb}GB"
    return render(
        "disk_type",
        id=str(row.number),
        creation_timestamp=rfc3339(row.offering.get("created")) or NO_DATE,
        name=row.name,
        description=row.offering.get("displaytext") or row.offering["name"],
        valid_disk_size=sizes,
        default_disk_size_gb=str(disk_types.DEFAULT_GB if row.custom_size else row.size_gb),
        zone=call.links.zone(call.project, place.name),
        self_link=call.links.absolute(f"projects/{call.project}/zones/{place.name}/{COLLECTION}/{row.name}"),
    )
