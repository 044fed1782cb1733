"""disks, snapshots, images: who may do what with one of them.

Apart because the three are answered alike, from the role that CloudStack gave the caller (translate/permissions.py).
The surprising thing: of a public image only the permissions to read it are held, whatever the role says, because
CloudStack lets its owner alone change it.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import method, refused
from gstack.translate import images, permissions, snapshots, volumes

DISKS = ("listVolumes", "listVirtualMachines")

for _kind in ("disks", "snapshots", "images"):
    refused(f"compute.{_kind}.setIamPolicy", permissions.NO_OWN_POLICY)


@method("compute.disks.testIamPermissions", needs=DISKS, body=permissions.ASKED)
def of_disk(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a disk."""
    volumes.located(call.caller, call.params["zone"], call.params["resource"])
    return permissions.held(call)


@method("compute.disks.getIamPolicy", needs=DISKS)
def policy_of_disk(call: Call) -> dict[str, Any]:
    """The policy of a disk, which has none."""
    volumes.located(call.caller, call.params["zone"], call.params["resource"])
    return permissions.policy()


@method("compute.snapshots.testIamPermissions", needs=("listSnapshots",), body=permissions.ASKED)
def of_snapshot(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a snapshot."""
    _snapshot(call)
    return permissions.held(call)


@method("compute.snapshots.getIamPolicy", needs=("listSnapshots",))
def policy_of_snapshot(call: Call) -> dict[str, Any]:
    """The policy of a snapshot, which has none."""
    _snapshot(call)
    return permissions.policy()


@method("compute.images.testIamPermissions", needs=("listTemplates",), body=permissions.ASKED, public=True)
def of_image(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on an image."""
    _image(call)
    return permissions.held(call, public=call.caller.project.public)


@method("compute.images.getIamPolicy", needs=("listTemplates",), public=True)
def policy_of_image(call: Call) -> dict[str, Any]:
    """The policy of an image, which has none."""
    _image(call)
    return permissions.policy()


def _snapshot(call: Call) -> None:
    wanted = call.params["resource"]
    if snapshots.find(call.caller.cloud, wanted) is None:
        raise not_found(f"projects/{call.project}/global/snapshots/{wanted}")


def _image(call: Call) -> None:
    wanted = call.params["resource"]
    found = images.find(
        call.caller,
        lambda known: next(
            (one for one in known.listed(call.project) if wanted in (one.name, str(numeric_id(one.id)))), None
        ),
    )
    if found is None:
        raise not_found(f"projects/{call.project}/global/images/{wanted}")
