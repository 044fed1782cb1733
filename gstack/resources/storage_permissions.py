"""disks, snapshots, images: who may do what with one of them.

Apart because the three are answered alike, from the role that CloudStack gave the caller: a permission is held where
the commands are allowed that its method needs. No policy is attached to an object. The surprising thing: of a public
image only the permissions to read it are held, whatever the role says, because CloudStack lets its owner alone change
it.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import HANDLERS, method, refused
from gstack.protocol.policy import Policy
from gstack.translate import images, places, snapshots, volumes

BODY = Policy(honoured=("permissions",))
# Google's permissions are called as the methods are; these are not.
CREATE = {f"compute.{kind}.create": f"compute.{kind}.insert" for kind in ("disks", "snapshots", "images")}

for _kind in ("disks", "snapshots", "images"):
    refused(f"compute.{_kind}.setIamPolicy", "CloudStack's roles say who may do what; a single object has no policy.")


@method("compute.disks.testIamPermissions", needs=("listVolumes", "listVirtualMachines"), body=BODY)
def of_disk(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a disk."""
    place, wanted = places.require_zone(call.caller, call.params["zone"]), call.params["resource"]
    if volumes.find(call.caller.cloud, place.id, wanted) is None:
        raise not_found(f"projects/{call.project}/zones/{place.name}/disks/{wanted}")
    return _held(call, "compute.disks.")


@method("compute.snapshots.testIamPermissions", needs=("listSnapshots",), body=BODY)
def of_snapshot(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a snapshot."""
    wanted = call.params["resource"]
    if snapshots.find(call.caller.cloud, wanted) is None:
        raise not_found(f"projects/{call.project}/global/snapshots/{wanted}")
    return _held(call, "compute.snapshots.")


@method("compute.images.testIamPermissions", needs=("listTemplates",), body=BODY, public=True)
def of_image(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on an image."""
    wanted = call.params["resource"]
    found = images.find(
        call.caller,
        lambda known: next(
            (one for one in known.listed(call.project) if wanted in (one.name, str(numeric_id(one.id)))), None
        ),
    )
    if found is None:
        raise not_found(f"projects/{call.project}/global/images/{wanted}")
    return _held(call, "compute.images.", public=call.caller.project.public)


def _held(call: Call, prefix: str, *, public: bool = False) -> dict[str, Any]:
    allowed = call.caller.catalogue.apis(call.caller.cloud)
    held = []
    for name in dict.fromkeys(call.body.get("permissions") or []):
        handler = HANDLERS.get(CREATE.get(name, name))
        if handler is None or not name.startswith(prefix) or (public and not handler.public):
            continue
        if allowed.issuperset(handler.needs):
            held.append(name)
    return {"permissions": held} if held else {}
