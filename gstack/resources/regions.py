"""regions: made of CloudStack's zones, as translate/places.py groups them.

Visible differences: quotas are those of the CloudStack account or project, which hold for all regions together.
Upstream calls: one, for the quotas, whose usage changes with every machine.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape, listing
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate import places
from gstack.translate.places import Place
from gstack.translate.quotas import REGION_METRICS, owner_row, quotas
from gstack.translate.times import NO_DATE


@method("compute.regions.get", needs=("listZones",))
def get(call: Call) -> dict[str, Any]:
    """One region."""
    name = places.require_region(call.caller, call.params["region"])
    members = places.of_caller(call.caller).region(name)
    return view(call, name, members, quotas(owner_row(call.caller), REGION_METRICS))


@method("compute.regions.list", needs=("listZones",))
def list_(call: Call) -> dict[str, Any]:
    """All regions that have a zone the caller's credential sees."""
    rows = places.of_caller(call.caller).regions().items()
    limits = quotas(owner_row(call.caller), REGION_METRICS)
    shape = Shape[tuple[str, tuple[Place, ...]]](
        lambda row: view(call, *row, limits), itemgetter(0), identity=itemgetter(0)
    )
    return listing(call, rows, shape)


def view(call: Call, name: str, members: tuple[Place, ...], limits: list[dict[str, Any]]) -> dict[str, Any]:
    """A region."""
    return render(
        "region",
        id=str(numeric_id(f"region:{name}")),
        creation_timestamp=NO_DATE,
        name=name,
        status="UP" if any(place.status == "UP" for place in members) else "DOWN",
        zones=[call.links.zone(call.project, place.name) for place in members],
        quotas=limits,
        self_link=call.links.region(call.project, name),
    )
