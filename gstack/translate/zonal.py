"""What CloudStack's operator offers in every zone (machine types, disk types, accelerator types), looked up and listed.

Apart because the three collections are read alike and differ in their rows only. The surprising thing: one offering is
as many resources as there are zones, so a row goes with its zone into every view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape, listing
from gstack.translate import places, scopes
from gstack.translate.caller import Caller
from gstack.translate.places import Place


class Named(Protocol):
    """A row: something with a name, and an id that tells it from others of that name."""

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> str: ...


@dataclass(frozen=True)
class OfOffering:
    """A type that is one of CloudStack's offerings, by one of its names."""

    name: str
    offering: Mapping[str, Any]

    @property
    def id(self) -> str:
        """CloudStack's UUID of the offering."""
        return str(self.offering["id"])

    @property
    def number(self) -> int:
        """The numeric id: an offering has several names, and is a resource under each."""
        return numeric_id(f"{self.id}/{self.name}")


Row = TypeVar("Row", bound=Named)
View = Callable[[Call, Place, Row], dict[str, Any]]
# What a caller is offered in the zone of a CloudStack id.
Offered = Callable[[Caller, str], Iterable[Row]]


def offered(offering: Mapping[str, Any], zoneid: str | None) -> bool:
    """Whether a row of CloudStack's offerings holds in a zone; in any where that is None."""
    bound = str(offering.get("zoneid") or "")
    return zoneid is None or not bound or zoneid in bound.split(",")


def one(
    call: Call, collection: str, wanted: str, find: Callable[[Caller, str, str], Row | None], view: View[Row]
) -> dict[str, Any]:
    """The resource called ``wanted`` in the zone of the URL; GceError ``notFound`` where ``find`` finds none."""
    place = places.require_zone(call.caller, call.params["zone"])
    found = find(call.caller, wanted, place.id)
    if found is None:
        raise not_found(f"projects/{call.project}/zones/{place.name}/{collection}/{wanted}")
    return view(call, place, found)


def of_zone(call: Call, offered: Offered[Row], view: View[Row]) -> dict[str, Any]:
    """The list of the zone of the URL."""
    place = places.require_zone(call.caller, call.params["zone"])
    return listing(call, offered(call.caller, place.id), Shape(partial(view, call, place), attrgetter("name")))


def of_all_zones(call: Call, collection: str, offered: Offered[Row], view: View[Row]) -> dict[str, Any]:
    """The aggregated list."""
    known = places.of_caller(call.caller)
    rows = {f"zones/{place.name}": [(place, row) for row in offered(call.caller, place.id)] for place in known}
    shape = Shape[tuple[Place, Row]](
        lambda row: view(call, *row), lambda row: row[1].name, identity=lambda row: row[1].id
    )
    return scopes.aggregated_in(call, ("zones",), rows, collection, shape)
