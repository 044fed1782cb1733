"""zoneOperations, regionOperations, globalOperations: what became of every change, from gstack's own store.

CloudStack's jobs are no history: it lists pending ones only and forgets the rest after a day. Differences
that can be seen: an operation stays listed for OPERATION_RETENTION_DAYS, ``wait`` answers with the state at
once when too many requests wait already, and only operations that are DONE may be deleted.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.operations import engine
from gstack.operations.history import History
from gstack.operations.identity import stamp
from gstack.operations.view import operation_view
from gstack.protocol.call import Call
from gstack.protocol.listing import Shape, aggregated, listing, sought, sought_words
from gstack.protocol.methods import method
from gstack.store.operations import Operation
from gstack.translate import places, scopes


@method("compute.zoneOperations.get")
@method("compute.regionOperations.get")
@method("compute.globalOperations.get")
def get(call: Call) -> dict[str, Any]:
    """One operation, by name or number."""
    return operation_view(_found(call), call.links)


@method("compute.zoneOperations.list", needs=("listZones",))
@method("compute.regionOperations.list", needs=("listZones",))
@method("compute.globalOperations.list")
def list_(call: Call) -> dict[str, Any]:
    """The operations of one scope."""
    return listing(
        call,
        _history(call, _known_scope(call)),
        _shape(call),
    )


@method("compute.globalOperations.aggregatedList", needs=("listZones",))
def aggregated_list(call: Call) -> dict[str, Any]:
    """The operations of all scopes."""
    return aggregated(
        call,
        _history(call, None),
        "operations",
        _shape(call),
        own_scopes=scopes.every(call.caller),
    )


@method("compute.zoneOperations.wait")
@method("compute.regionOperations.wait")
@method("compute.globalOperations.wait")
def wait(call: Call) -> dict[str, Any]:
    """One operation, once it is DONE or OPERATION_WAIT_SECONDS have passed."""
    return engine.wait(call, _found(call))


@method("compute.zoneOperations.delete")
@method("compute.regionOperations.delete")
@method("compute.globalOperations.delete")
def delete(call: Call) -> dict[str, Any]:
    """Forget an operation that is DONE. The answer is empty."""
    engine.forget(_found(call))
    return {}


def _history(call: Call, scope: str | None) -> History:
    return History(call.project, scope, sought(call), sought_words(call))


def _found(call: Call) -> Operation:
    """The operation of the URL; a zone may be called by its CloudStack name."""
    scope, name = _scope(call), call.params["operation"]
    found = engine.find(call.project, scope, name)
    if found is None and scope.startswith("zones/"):
        found = engine.find(call.project, _known_scope(call), name)
    if found is None:
        raise not_found(f"projects/{call.project}/{scope}/operations/{name}")
    return found


def _scope(call: Call) -> str:
    for collection, parameter in (("zones", "zone"), ("regions", "region")):
        if parameter in call.params:
            return f"{collection}/{call.params[parameter]}"
    return "global"


def _known_scope(call: Call) -> str:
    """The scope of the URL under GCE's name; GceError ``notFound`` where there is no such zone or region."""
    scope = _scope(call)
    if scope.startswith("zones/"):
        place = places.zone_of(call.caller, call.params["zone"])
        if place is not None:
            return f"zones/{place.name}"
    elif scope == "global" or places.of_caller(call.caller).region(call.params["region"]):
        return scope
    raise not_found(f"projects/{call.project}/{scope}")


def _shape(call: Call) -> Shape[Operation]:
    return Shape(lambda row: operation_view(row, call.links), _name, _created)


def _name(row: Operation) -> str:
    return row.name


def _created(row: Operation) -> object:
    return stamp(row.insert_ms)
