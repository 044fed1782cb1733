"""Managers of instance groups, zonal and regional, and regionInstanceGroups: none, as no group makes its own instances.

Apart from instance groups because nothing here is ever asked of CloudStack. The surprising thing: the lists are
answered all the same, because gcloud reads them with every instance group, to tell which are managed; they are true.
Upstream calls: none.
"""

from __future__ import annotations

from typing import Any

from gstack.operations.kept import Collection
from gstack.protocol.call import Call
from gstack.protocol.methods import method


@method("compute.instanceGroupManagers.list")
@method("compute.regionInstanceGroupManagers.list")
def list_(call: Call) -> dict[str, Any]:
    """None."""
    return MANAGERS.list(call)


@method("compute.instanceGroupManagers.aggregatedList")
def aggregated_list(call: Call) -> dict[str, Any]:
    """None in any zone or region."""
    return MANAGERS.aggregated(call, "zones", "regions")


@method("compute.regionInstanceGroups.get")
def get_group(call: Call) -> dict[str, Any]:
    """GCE's answer for a group that does not exist: only managed ones span a region."""
    return GROUPS.get(call)


@method("compute.regionInstanceGroups.list")
def list_groups(call: Call) -> dict[str, Any]:
    """None."""
    return GROUPS.list(call)


def view(_call: Call, row: dict[str, Any]) -> dict[str, Any]:
    """A row, of which there is none."""
    return row


MANAGERS = Collection("instanceGroupManagers", "instanceGroupManager", view)
# Rows of this name in a region; those that the store keeps are in zones.
GROUPS = Collection("instanceGroups", "instanceGroup", view)
