"""instances: the verbs that change what is there.

Apart from instances.py, which makes and shows them. Labels, network tags and marks are resource tags, a machine type is
a service offering, metadata is the store's and the machine's user data. Visible differences: metadata reaches a guest
at its next boot, a host name at its first; scheduling is remembered. The surprising thing: every check here is made
again by the workflow, for changes of one instance wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gstack.errors import GceError, already_exists, invalid, not_ready, required
from gstack.operations import engine, labels
from gstack.operations.instance_changes import (
    boot_disk_in_use,
    check_fingerprint,
    check_tags,
    must_be_stopped,
    scheduled,
)
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.store import overlay
from gstack.translate import (
    deployments,
    instance_disks,
    machines,
    project_metadata,
    reasons,
    scheduling,
    userdata,
    volumes,
)
from gstack.translate.names import checked_name
from gstack.translate.places import Place

READS = ("listVirtualMachines",)
DISK_READS = ("listVirtualMachines", "listVolumes")
TAGS = ("createTags", "deleteTags", "listTags")
FIREWALLS = (
    "listSecurityGroups",
    "authorizeSecurityGroupIngress",
    "authorizeSecurityGroupEgress",
    "revokeSecurityGroupIngress",
    "revokeSecurityGroupEgress",
)

ATTACHMENT = Policy(
    honoured=("source", "autoDelete", "boot"),
    remembered=("deviceName",),
    only={"type": ("PERSISTENT",), "mode": ("READ_WRITE",), "interface": ("SCSI",)},
    refused={
        "diskEncryptionKey": reasons.ENCRYPTION,
        "diskSizeGb": "A disk that is there has its size; change it with disks.resize.",
        "forceAttach": "A disk is attached to one instance only.",
        "guestOsFeatures": reasons.HARDWARE,
        "initializeParams": "Only disks that are there can be attached; make one with disks.insert.",
    },
)


@dataclass(frozen=True)
class _Target:
    """The instance of a request: ``row`` is CloudStack's, ``path`` its link from ``projects/`` on."""

    place: Place
    name: str
    row: dict[str, Any]
    path: str


@method(
    "compute.instances.setLabels",
    needs=(*READS, *TAGS),
    body=Policy(honoured=("labels", "labelFingerprint")),
)
def set_labels(call: Call) -> dict[str, Any]:
    """Replace the labels."""
    found = _found(call)
    return labels.start(call, "UserVm", found.row, found.path)


@method("compute.instances.setTags", needs=(*READS, *TAGS, *FIREWALLS), body=Policy(honoured=("items", "fingerprint")))
def set_tags(call: Call) -> dict[str, Any]:
    """Replace the network tags, and with them what firewalls say of the instance."""

    def plan(found: _Target) -> dict[str, Any]:
        items, seen = deployments.network_tags(call.body.get("items") or [], "resource.items"), _seen(call)
        check_tags(found.row, items, seen)
        return {"items": items, "fingerprint": seen}

    return _change(call, plan)


@method(
    "compute.instances.setMetadata",
    needs=(*READS, "updateVirtualMachine", "getVirtualMachineUserData"),
    body=Policy(honoured=("items", "fingerprint")),
)
def set_metadata(call: Call) -> dict[str, Any]:
    """Replace the metadata, and the user data that comes of it."""

    def plan(found: _Target) -> dict[str, Any]:
        items, seen, kept = call.body.get("items") or [], _seen(call), overlay.read(machines.KIND, found.row["id"])
        check_fingerprint(seen, kept.get("metadata", []), "metadata")
        project = project_metadata.read(call.caller.project)
        guest = userdata.compose(items, kept.get("hostname"), project, where="resource.items", later=True)
        return {"fingerprint": seen, "secrets": engine.sealed({"items": items, "userdata": guest})}

    return _change(call, plan)


@method("compute.instances.setDeletionProtection", needs=(*READS, "updateVirtualMachine"))
def set_deletion_protection(call: Call) -> dict[str, Any]:
    """Protect an instance against deletion, or no longer."""
    return _change(call, lambda _: {"protect": bool(call.params["deletionProtection"])})


@method(
    "compute.instances.setScheduling",
    needs=(*READS, "updateVirtualMachine"),
    body=Policy(remembered=scheduling.REMEMBERED, only=scheduling.ONLY, refused=scheduling.REFUSED),
)
def set_scheduling(call: Call) -> dict[str, Any]:
    """Remember scheduling options: CloudStack decides by the service offering."""

    def plan(found: _Target) -> dict[str, Any]:
        cleared = {scheduling.ACTION: scheduling.UNSPECIFIED} if scheduling.ACTION in call.cleared else {}
        return {"scheduling": scheduled(found.row, found.path, call.body | cleared, "resource")}

    return _change(call, plan)


@method(
    "compute.instances.setServiceAccount",
    needs=(*READS, *TAGS, *FIREWALLS),
    body=Policy(honoured=("email",), remembered=("scopes",)),
)
def set_service_account(call: Call) -> dict[str, Any]:
    """Say as whom the instance acts: what firewalls with service accounts go by."""

    def plan(found: _Target) -> dict[str, Any]:
        must_be_stopped(found.row, found.path, "The service account")
        email, scopes = call.body.get("email"), call.body.get("scopes") or []
        if scopes and not email:
            raise required("resource.email")
        if email:
            deployments.check_email(email, "resource.email")
        return {"accounts": [{"email": email, **({"scopes": scopes} if scopes else {})}] if email else []}

    return _change(call, plan)


@method(
    "compute.instances.setMachineType",
    needs=(*READS, *TAGS, "listServiceOfferings", "changeServiceForVirtualMachine"),
    body=Policy(honoured=("machineType",)),
)
def set_machine_type(call: Call) -> dict[str, Any]:
    """Give a stopped machine another service offering."""

    def plan(found: _Target) -> dict[str, Any]:
        given = call.body.get("machineType")
        size = deployments.machine_type(call.caller, found.place, given)
        must_be_stopped(found.row, found.path, "The machine type")
        return deployments.resizing(size)

    return _change(call, plan)


@method(
    "compute.instances.setName",
    needs=(*DISK_READS, *TAGS, "updateVirtualMachine"),
    body=Policy(honoured=("name", "currentName")),
)
def set_name(call: Call) -> dict[str, Any]:
    """Rename a stopped machine; its disks keep their names."""
    new = call.body.get("name")

    def plan(found: _Target) -> dict[str, Any]:
        name = checked_name(new)
        current = call.body.get("currentName")
        if not current:
            raise required("resource.currentName")
        if current != found.name:
            raise GceError("conditionNotMet", f"The current name is '{found.name}', not '{current}'.")
        must_be_stopped(found.row, found.path, "The name")
        if machines.find(call.caller.cloud, found.place.id, name, ["min"]) is not None:
            raise already_exists(machines.path(call.project, found.place, name))
        return {"name": name}

    return _change(call, plan, claim=lambda found: [machines.path(call.project, found.place, str(new))])


@method("compute.instances.attachDisk", needs=(*DISK_READS, *TAGS, "attachVolume"), body=ATTACHMENT)
def attach_disk(call: Call) -> dict[str, Any]:
    """Attach a volume that is there."""

    def plan(found: _Target) -> dict[str, Any]:
        if call.params.get("forceAttach"):
            raise GceError("unsupported", ATTACHMENT_FORCED, location="forceAttach")
        if not call.body.get("source"):
            raise invalid("resource.source", "", "A disk to attach must be named.")
        disk = instance_disks.existing_disk(call.caller, found.place, call.body, alias=call.params["project"])
        if disk.awaits is not None:
            instance_disks.check_fills(disk, _template(call, found), "resource.source")
        devices, device, boot = _devices(call, found), call.body.get("deviceName"), bool(call.body.get("boot"))
        instance_disks.check_device_name(device or "", devices, "resource.deviceName")
        if boot and any(volumes.is_boot(row) for row in devices.values()):
            raise invalid("resource.boot", "true", "The instance has a boot disk already.")
        if boot:
            must_be_stopped(found.row, found.path, "The boot disk")
        auto_delete = bool(call.body.get("autoDelete"))
        return {"volume": disk.volume, "boot": boot, "auto_delete": auto_delete, "device": device}

    return _change(call, plan)


ATTACHMENT_FORCED = "The parameter 'forceAttach' is not supported: a disk is attached to one instance only."


@method("compute.instances.detachDisk", needs=(*DISK_READS, *TAGS, "detachVolume"))
def detach_disk(call: Call) -> dict[str, Any]:
    """Detach a disk, which stays; the boot disk of a stopped machine only."""

    def plan(found: _Target) -> dict[str, Any]:
        row = _device(call, found)
        boot = volumes.is_boot(row)
        if boot and found.row["state"] != "Stopped":
            raise boot_disk_in_use(found.name)
        return {"volume": row["id"], "boot": boot, "name": volumes.marked_name(row) or found.name}

    return _change(call, plan)


@method("compute.instances.setDiskAutoDelete", needs=(*DISK_READS, *TAGS))
def set_disk_auto_delete(call: Call) -> dict[str, Any]:
    """Say whether a disk goes with its instance."""

    def plan(found: _Target) -> dict[str, Any]:
        row = _device(call, found)
        return {"volume": row["id"], "boot": volumes.is_boot(row), "auto_delete": bool(call.params["autoDelete"])}

    return _change(call, plan)


def _change(
    call: Call,
    plan: Callable[[_Target], dict[str, Any]],
    claim: Callable[[_Target], list[str]] = lambda _: [],
) -> dict[str, Any]:
    """Start the workflow of the method's name. ``plan`` checks the request and gives the workflow's input."""
    found = _found(call)
    content = {"machine": found.row["id"], **plan(found)}
    return engine.start(
        call,
        f"op.instances.{call.method.verb}",
        type=call.method.verb,
        target=found.path,
        target_id=numeric_id(found.row["id"]),
        plan=content,
        claim=claim(found),
    )


def _found(call: Call) -> _Target:
    """The instance of the URL. Raises GceError notFound, or resourceNotReady for one that nothing can be done with."""
    asked = call.params.get("instance") or call.params["resource"]
    place, name, row = machines.located(call.caller, call.params["zone"], asked)
    path = machines.path(call.project, place, name)
    if row["state"] == "Error" or machines.is_tombstone(row):
        raise not_ready(path)
    return _Target(place, name, dict(row), path)


def _seen(call: Call) -> str | None:
    """The fingerprint that the client read."""
    return call.body.get("fingerprint") or None


def _devices(call: Call, found: _Target) -> dict[str, Any]:
    """The volumes of the machine by GCE's device names."""
    rows = volumes.visible(call.caller.cloud.list("listVolumes", virtualmachineid=found.row["id"]))
    kept = overlay.read_many(volumes.KIND, [row["id"] for row in rows])
    ordered = enumerate(volumes.in_order(rows))
    return {volumes.device_name(kept.get(row["id"], {}), index): row for index, row in ordered}


def _template(call: Call, found: _Target) -> str | None:
    row = call.caller.cloud.first("listVirtualMachines", id=found.row["id"], details=["tmpl"])
    return row.get("templateid") if row else None


def _device(call: Call, found: _Target) -> dict[str, Any]:
    wanted = call.params["deviceName"]
    row = _devices(call, found).get(wanted)
    if row is None:
        raise invalid("deviceName", wanted, f"No attached disk found with device name '{wanted}'")
    return dict(row)
