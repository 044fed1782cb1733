"""machineTypes: CloudStack's service offerings, the same in every zone unless an offering is bound to one.

Lists show the fixed offerings under their own names; ``get`` also answers ``custom-CPUS-MEMORYMB`` and Google's
predefined names (translate/machine_types.py says which offering stands for them). Visible differences: nothing says
how many disks a machine may have, so the limits are CloudStack's defaults. Upstream calls: none once cached.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gstack.protocol.call import Call
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate import accelerators, machine_types, zonal
from gstack.translate.caller import Caller
from gstack.translate.machine_types import MachineType
from gstack.translate.places import Place
from gstack.translate.times import NO_DATE, rfc3339

COMMANDS = ("listZones", "listServiceOfferings")
COLLECTION = "machineTypes"
# CloudStack's default for KVM: the root disk and five more (max data disks limit of the hypervisor capabilities).
MAXIMUM_DISKS = 6
# storage.max.volume.size: 2,000 GB a volume unless the operator sets another.
MAXIMUM_DISKS_SIZE_GB = 2000 * MAXIMUM_DISKS


@method("compute.machineTypes.get", needs=COMMANDS)
def get(call: Call) -> dict[str, Any]:
    """One machine type: an offering, a custom size, or one of Google's names."""
    return zonal.one(call, COLLECTION, call.params["machineType"], machine_types.find, view)


@method("compute.machineTypes.list", needs=COMMANDS)
def list_(call: Call) -> dict[str, Any]:
    """The fixed offerings that a machine of one zone may have."""
    return zonal.of_zone(call, _offered, view)


@method("compute.machineTypes.aggregatedList", needs=COMMANDS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The fixed offerings of every zone."""
    return zonal.of_all_zones(call, COLLECTION, _offered, view)


def _offered(caller: Caller, zoneid: str) -> Iterable[MachineType]:
    return machine_types.of_caller(caller, zoneid).listed()


def view(call: Call, place: Place, row: MachineType) -> dict[str, Any]:
    """A machine type."""
    gpus = accelerators.of_offering(call.caller, row.offering)
    return render(
        "machine_type",
        id=str(row.number),
        creation_timestamp=rfc3339(row.offering.get("created")) or NO_DATE,
        name=row.name,
        description=_description(row),
        cpus=row.cpus,
        memory_mb=row.memory_mb,
        maximum_disks=MAXIMUM_DISKS,
        maximum_disks_size_gb=str(MAXIMUM_DISKS_SIZE_GB),
        zone=place.name,
        accelerators=[{"guestAcceleratorType": gpus[0], "guestAcceleratorCount": gpus[1]}] if gpus else None,
        self_link=call.links.absolute(f"projects/{call.project}/zones/{place.name}/{COLLECTION}/{row.name}"),
    )


def _description(row: MachineType) -> str:
    size = f"{row.cpus} vCPU{'s' if row.cpus != 1 else ''}, {row.memory_mb / 1024:g} GB RAM"
    offering = str(row.offering["name"])
    return f"{size} (CloudStack offering {offering})" if row.name != offering else size
