"""zones: CloudStack's zones, under names from which clients can cut the region.

Visible differences: a zone that is not called ``<region>-<one character>`` is shown under another name (see
translate/places.py) and is still found under its own; CloudStack keeps no creation date of a zone, so all have the
one that GCE itself shows for its zones. Upstream calls: none once the catalogue is cached.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import Any

from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape, listing
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate import places
from gstack.translate.places import Place
from gstack.translate.times import NO_DATE


@method("compute.zones.get", needs=("listZones",))
def get(call: Call) -> dict[str, Any]:
    """One zone, by its GCE or its CloudStack name."""
    return view(call, places.require_zone(call.caller, call.params["zone"]))


@method("compute.zones.list", needs=("listZones",))
def list_(call: Call) -> dict[str, Any]:
    """All zones that the caller's credential sees."""
    rows = places.of_caller(call.caller)
    return listing(call, rows, Shape(partial(view, call), attrgetter("name")))


def view(call: Call, place: Place) -> dict[str, Any]:
    """A zone."""
    return render(
        "zone",
        id=str(numeric_id(place.id)),
        creation_timestamp=NO_DATE,
        name=place.name,
        status=place.status,
        region=call.links.region(call.project, place.region),
        self_link=call.links.zone(call.project, place.name),
    )
