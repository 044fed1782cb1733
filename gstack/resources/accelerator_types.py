"""acceleratorTypes: the GPUs that CloudStack's service offerings give; none where no offering has any.

Visible differences: a GPU comes with its machine type, which names it, and cannot be added to another. Upstream calls:
none once the catalogue is cached.
"""

from __future__ import annotations

from typing import Any

from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate import accelerators, zonal
from gstack.translate.accelerators import Accelerator
from gstack.translate.places import Place
from gstack.translate.times import NO_DATE

COMMANDS = ("listZones", "listServiceOfferings")
COLLECTION = "acceleratorTypes"


@method("compute.acceleratorTypes.get", needs=COMMANDS)
def get(call: Call) -> dict[str, Any]:
    """One accelerator type."""
    return zonal.one(call, COLLECTION, call.params["acceleratorType"], accelerators.find, view)


@method("compute.acceleratorTypes.list", needs=COMMANDS)
def list_(call: Call) -> dict[str, Any]:
    """The accelerator types of one zone."""
    return zonal.of_zone(call, accelerators.of_caller, view)


@method("compute.acceleratorTypes.aggregatedList", needs=COMMANDS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The accelerator types of every zone."""
    return zonal.of_all_zones(call, COLLECTION, accelerators.of_caller, view)


def view(call: Call, place: Place, row: Accelerator) -> dict[str, Any]:
    """An accelerator type."""
    return render(
        "accelerator_type",
        id=str(numeric_id(row.id)),
        creation_timestamp=NO_DATE,
        name=row.name,
        description=row.text,
        zone=call.links.zone(call.project, place.name),
        most=row.most,
        self_link=call.links.absolute(f"projects/{call.project}/zones/{place.name}/{COLLECTION}/{row.name}"),
    )
