"""machineImages: there are none, as CloudStack keeps no copy of a machine with all its disks.

Apart from instances because nothing here is ever asked of CloudStack. The surprising thing: the list is answered all
the same, because consoles and inventories read it among others; it is true, and making one says why it cannot be.
Upstream calls: none.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.listing import empty
from gstack.protocol.methods import method, refused
from gstack.translate import reasons


@method("compute.machineImages.get")
def get(call: Call) -> dict[str, Any]:
    """GCE's answer for a machine image that does not exist."""
    raise not_found(f"projects/{call.project}/global/machineImages/{call.params['machineImage']}")


@method("compute.machineImages.list")
def list_(call: Call) -> dict[str, Any]:
    """None."""
    return empty(call)


for _verb in ("delete", "getIamPolicy", "insert", "setIamPolicy", "setLabels", "testIamPermissions"):
    refused(f"compute.machineImages.{_verb}", reasons.MACHINE_IMAGES)
