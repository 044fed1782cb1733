"""Workflows that change an instance: tags, metadata, protection, accounts, size, name, disks.

Apart from its life (operations/instances.py), because none of these makes or destroys a machine. The surprising thing:
whatever a client has proved by a fingerprint or by the machine's state is looked at again in the first step. Operations
on one instance run one after the other, and the one before may have changed it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gstack.errors import GceError, not_found, not_ready
from gstack.firewall import marks
from gstack.firewall.groups import GUARDS, INSTANCE, Group
from gstack.firewall.security_groups import using
from gstack.firewall.writer import Writer
from gstack.operations import attachments, balancing, firewalls, labels, states
from gstack.operations.failures import HIDDEN
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.fingerprints import matches
from gstack.store import overlay
from gstack.translate import machines, scheduling, tags, userdata, volumes
from gstack.translate.balancing import fronts_of_machine
from gstack.translate.machine_types import MachineTypes

Row = dict[str, Any]

# CloudStack cannot take user data away again; this says nothing to a guest.
NO_USER_DATA = str(userdata.compose([], later=True))
FOREIGN = "foreignUserData"  # what is remembered of a machine whose user data is another tool's
FOREIGN_USER_DATA = (
    "The user data of this machine was set by another tool and stays as it is; the metadata is kept, but does not "
    "reach the guest."
)
NO_OWN_GROUP = "This machine was made by another tool: firewalls with service accounts do not speak of it."


def check_fingerprint(seen: str | None, value: Any, what: str) -> None:
    """Raise GceError conditionNotMet unless ``seen`` is the fingerprint of ``value``, or both are nothing."""
    if not (matches(seen, value) if seen else not value):
        message = f"Supplied fingerprint does not match current {what} fingerprint."
        raise GceError("conditionNotMet", message, location="fingerprint")


def check_tags(row: Mapping[str, Any], wanted: list[str], seen: str | None) -> None:
    """Whether a machine may get these network tags. Raises GceError conditionNotMet or failedPrecondition."""
    check_fingerprint(seen, machines.network_tags(row), "tags")
    missing = sorted(machines.foreign_tags(row) - set(wanted))
    if missing:
        message = (
            f"The tag '{missing[0]}' cannot be removed: it is the name of a security group that another tool put the "
            "machine into."
        )
        raise GceError("failedPrecondition", message, location="items")


def must_be_stopped(row: Mapping[str, Any], path: str, what: str) -> None:
    """Raise GceError resourceNotReady for the machine at ``path`` if it is not stopped; ``what`` begins a sentence."""
    if row.get("state") != "Stopped":
        why = f"{what} can be changed only while the instance is stopped. It is {machines.status(row)}."
        raise not_ready(path, why)


def scheduled(row: Mapping[str, Any], path: str, given: Mapping[str, Any], where: str) -> Row:
    """What is remembered of the scheduling options ``given`` at ``where``, beside those that the machine at ``path``
    has. Raises GceError invalid or resourceNotReady."""
    kept = overlay.read(machines.KIND, row["id"]).get("scheduling", {})
    said = scheduling.changed(kept, given)
    scheduling.check(kept | said, where)
    before, after = scheduling.shown(kept), scheduling.shown(kept | said)
    if any(before[member] != after[member] for member in scheduling.KIND):
        must_be_stopped(row, path, "Whether it is preemptible")
    return said


@workflow("op.instances.setTags")
def set_tags(run: Run, plan: Row) -> None:
    """``plan``: ``machine``, ``items``, ``fingerprint``. The rules of all instances follow."""
    machine = plan["machine"]

    def changes() -> tags.Changes:
        row = _row(run, machine)
        check_tags(row, plan["items"], plan["fingerprint"])
        wanted = set(plan["items"]) - machines.foreign_tags(row)
        return tags.plan_network_tags(row.get("tags") or (), sorted(wanted))

    before = run.step("tags before", lambda: tags.network_tags(_row(run, machine).get("tags") or ()))
    run.undo("the rules of instances", firewalls.converge_quietly, run)
    run.undo("the network tags", _put_back_tags, run, machine, before)
    labels.change(run, "UserVm", machine, changes)
    firewalls.converge(run)


@workflow("op.instances.setMetadata")
def set_metadata(run: Run, plan: Row) -> None:
    """``plan``: ``machine``, ``fingerprint``; sealed ``secrets``: ``items``, ``userdata`` (None for nothing to say)."""
    machine, secrets = plan["machine"], json.loads(run.unseal(plan["secrets"]))
    found = run.step("look", _user_data, run, machine, plan["fingerprint"])
    before, wanted = run.unseal(found["userdata"]), secrets["userdata"] or ""
    if found["foreign"]:
        run.warn("NOT_CRITICAL_ERROR", FOREIGN_USER_DATA)
    elif wanted != before:
        run.job("user data", "updateVirtualMachine", {"id": machine, "userdata": wanted or NO_USER_DATA})
        run.undo_job("the user data", "updateVirtualMachine", {"id": machine, "userdata": before or NO_USER_DATA})
    run.step("remember", amend, run, machine, {"metadata": secrets["items"], FOREIGN: found["foreign"]})


@workflow("op.instances.setScheduling")
def set_scheduling(run: Run, plan: Row) -> None:
    """``plan``: ``machine``; ``scheduling``, the members to remember beside those that are."""

    def merge() -> None:
        kept = overlay.read(machines.KIND, plan["machine"]).get("scheduling", {})
        amend(run, plan["machine"], {"scheduling": kept | plan["scheduling"]})

    run.step("look", _row, run, plan["machine"])
    run.step("remember", merge)


@workflow("op.instances.setDeletionProtection")
def set_deletion_protection(run: Run, plan: Row) -> None:
    """``plan``: ``machine``, ``protect``."""
    run.step("look", _row, run, plan["machine"])
    run.job("protect", "updateVirtualMachine", {"id": plan["machine"], "deleteprotection": plan["protect"]})


@workflow("op.instances.setServiceAccount")
def set_service_account(run: Run, plan: Row) -> None:
    """``plan``: ``machine``; ``accounts``, GCE's ``serviceAccounts``. Firewalls find them in the own group's marks."""
    machine = plan["machine"]
    run.step("look", lambda: must_be_stopped(_row(run, machine), run.target, "The service account"))
    before = run.step("accounts before", lambda: using(run, lambda writer: _accounts(writer, machine)))
    wanted = [str(account.get("email", "")) for account in plan["accounts"]]
    run.undo("the rules of instances", firewalls.converge_quietly, run)
    if before is not None:
        run.undo("the service account", _mark, run, machine, before)
        run.step("accounts", _mark, run, machine, wanted)
    elif run.step("groups", lambda: bool(_row(run, machine).get("securitygroup"))):
        run.warn("NOT_CRITICAL_ERROR", NO_OWN_GROUP)
    else:  # an isolated network, where the machine itself has the mark
        mark = {machines.ACCOUNTS: " ".join(sorted(wanted)) or None}
        marked = run.step("mark before", lambda: tags.own_values(_row(run, machine).get("tags") or ()))
        back = {machines.ACCOUNTS: marked.get(machines.ACCOUNTS)}
        run.undo("the service account", labels.put_marks_back, run, "UserVm", machine, back)
        labels.mark(run, "UserVm", machine, mark)
    firewalls.converge(run)
    run.step("remember", amend, run, machine, {"serviceAccounts": plan["accounts"]})


@workflow("op.instances.setMachineType")
def set_machine_type(run: Run, plan: Row) -> None:
    """``plan``: ``machine``, ``offering``, ``details``, ``cpus``, ``memory_mb``; ``mark``, or None where the offering's
    own name says it."""
    machine = plan["machine"]
    params = {"id": machine, "serviceofferingid": plan["offering"], "details": plan["details"] or None}
    before = run.step("look", _size, run, plan)
    if before is not None:
        command = "changeServiceForVirtualMachine"
        run.job("machine type", command, params, find=lambda: _sized(run, plan))
        run.undo_job("the machine type", command, before)
    labels.mark(run, "UserVm", machine, {machines.MACHINE_TYPE: plan["mark"]})


@workflow("op.instances.setName")
def set_name(run: Run, plan: Row) -> None:
    """``plan``: ``machine``, ``name``. The boot disk keeps its own, which takes a mark."""
    machine, name = plan["machine"], plan["name"]
    found = run.step("look", _names, run, machine)
    if found["root"] is not None:
        labels.mark(run, "Volume", found["root"], {volumes.NAME: found["disk"]})
    shown = name if found["displayname"] in (found["name"], found["gce_name"]) else found["displayname"]
    mark = None
    try:
        run.job("name", "updateVirtualMachine", {"id": machine, "name": name, "displayname": shown})
    except GceError as error:
        if getattr(error, "code", None) != HIDDEN:
            raise
        # Another tenant of the shared network has the name.
        token = hashlib.blake2b(run.name.encode()).hexdigest()[:5]
        spare = {"id": machine, "name": machines.spare_name(name, token), "displayname": name}
        run.job("another name", "updateVirtualMachine", spare)
        mark = name
    before = {"id": machine, "name": found["name"], "displayname": found["displayname"]}
    run.undo_job("the name", "updateVirtualMachine", before)
    labels.mark(run, "UserVm", machine, {machines.NAME: mark})
    # Target pools know instances by their names.
    called = [found["gce_name"], name]
    balancing.settle_or_warn(run, lambda: fronts_of_machine(run.project, found["zoneid"], called))


@workflow("op.instances.attachDisk")
def attach_disk(run: Run, plan: Row) -> None:
    """``plan``: ``machine``, ``volume``, ``boot``, ``auto_delete``; ``device``, its device name, or None."""
    machine, volume = plan["machine"], plan["volume"]
    run.step("look", _steady, run, machine)
    attachments.attach(run, "attach", volume, machine, attachments.ROOT_DEVICE if plan["boot"] else None)
    run.undo("the attaching", run.obey, "detachVolume", {"id": volume})
    labels.mark(run, "Volume", volume, _auto_delete(plan["boot"], plan["auto_delete"]))
    run.step("remember", _name_device, run, machine, volume, plan["device"])


@workflow("op.instances.detachDisk")
def detach_disk(run: Run, plan: Row) -> None:
    """``plan``: ``machine``, ``volume``, ``boot``; ``name``, the disk's."""
    machine, volume = plan["machine"], plan["volume"]
    state = run.step("look", _steady, run, machine)
    wanted: dict[str, str | None] = {volumes.AUTO_DELETE: None}
    if plan["boot"]:
        if state != "Stopped":
            raise boot_disk_in_use(_name(run))
        wanted[volumes.NAME] = plan["name"]  # it would be called ROOT-123 for GCE's clients, too
    labels.mark(run, "Volume", volume, wanted)
    run.step("what the others are called", _keep_devices, run, machine, volume)
    attachments.detach(run, "detach", volume)
    run.step("forget", attachments.rename_device, run, volume, {})


@workflow("op.instances.setDiskAutoDelete")
def set_disk_auto_delete(run: Run, plan: Row) -> None:
    """``plan``: ``volume``, ``boot``, ``auto_delete``."""
    labels.mark(run, "Volume", plan["volume"], _auto_delete(plan["boot"], plan["auto_delete"]))


def boot_disk_in_use(name: str) -> GceError:
    """The refusal to take a running machine's boot disk away."""
    message = f"The boot disk can be detached only while the instance is stopped. '{name}' is running."
    return GceError("failedPrecondition", message)


def _name(run: Run) -> str:
    return run.target.rpartition("/")[2]


def _auto_delete(boot: bool, wanted: bool) -> dict[str, str | None]:
    """The mark for a disk that goes with its instance or does not; None takes it away."""
    return {volumes.AUTO_DELETE: volumes.marks(auto_delete=wanted, boot=boot).get(volumes.AUTO_DELETE)}


# What follows runs inside of steps.


def _row(run: Run, machine: str) -> Row:
    """The machine. Raises GceError notFound, or resourceNotReady for one that CloudStack changes nothing of."""
    row = states.machine(run, machine, machines.DETAILS)
    if row["state"] == "Error":
        raise not_ready(run.target)
    return row


def _steady(run: Run, machine: str) -> str:
    """The state of a machine whose disks may change."""
    state = str(_row(run, machine)["state"])
    if state not in ("Running", "Stopped"):
        raise not_ready(run.target)
    return state


def amend(run: Run, machine: str, members: Row) -> None:
    """Change some of what is remembered of an instance."""
    overlay.write(machines.KIND, machine, run.project.id, overlay.read(machines.KIND, machine) | members)


def _put_back_tags(run: Run, machine: str, before: list[str]) -> None:
    there = _row(run, machine).get("tags") or ()
    labels.put_back(run, "UserVm", machine, tags.plan_network_tags(there, before))


def _user_data(run: Run, machine: str, seen: str | None) -> Row:
    """The user data that the machine has (sealed), and whether another tool gave it that."""
    _row(run, machine)
    kept = overlay.read(machines.KIND, machine)
    check_fingerprint(seen, kept.get("metadata", []), "metadata")
    answer = run.cloud.call("getVirtualMachineUserData", virtualmachineid=machine)
    found = str((answer.get("virtualmachineuserdata") or {}).get("userdata") or "")
    return {"userdata": run.seal(found), "foreign": kept.get(FOREIGN, bool(found) and "metadata" not in kept)}


def _accounts(writer: Writer, machine: str) -> list[str] | None:
    """The service accounts in the marks of the machine's own group; None where it has no such group."""
    group = _own_group(writer, machine)
    return None if group is None else list(group.content.get("accounts", ()))


def _own_group(writer: Writer, machine: str) -> Group | None:
    row = writer.cloud.first("listVirtualMachines", id=machine, details=["secgrp"]) or {}
    names = [group for group in row.get("securitygroup") or () if str(group["name"]).startswith(tags.OWN)]
    for named in names:
        found = writer.cloud.first("listSecurityGroups", id=named["id"])
        if found is not None and Group(found).purpose[:1] == (INSTANCE,):
            return Group(found)
    return None


def _mark(run: Run, machine: str, accounts: list[str]) -> None:
    """Make the own group's marks name these accounts: the new ones first, so that it says something at every moment."""

    def write(writer: Writer) -> None:
        group = _own_group(writer, machine)
        if group is None:
            raise not_found(run.target)
        rows = group.row.get("tags", ())
        number, said = marks.unpack(GUARDS, rows)
        content = {"owner": "gstack", **group.content, "accounts": sorted(accounts)}
        place = number if said == content else marks.highest(GUARDS, rows) + 1
        wanted = dict.fromkeys(marks.present(GUARDS, rows)) | marks.pack(GUARDS, place, content)
        changes = tags.plan_own(rows, wanted)
        for command, found in (("createTags", changes.create), ("deleteTags", changes.delete)):
            if found:
                writer.obey(command, {"resourcetype": "SecurityGroup", "resourceids": [group.id], "tags": found})

    using(run, write)


def _size(run: Run, plan: Row) -> Row | None:
    """The parameters that would give the machine its present size back; None where it has the wanted one already."""
    row = _row(run, plan["machine"])
    must_be_stopped(row, run.target, "The machine type")
    if _fits(row, plan):
        return None
    offerings = run.cloud.use(lambda cloud: run.catalogue.service_offerings(cloud))
    size = MachineTypes(offerings).of_machine(row)
    return {"id": row["id"], "serviceofferingid": size.id, "details": size.details or None}


def _sized(run: Run, plan: Row) -> Row | None:
    row = _row(run, plan["machine"])
    return row if _fits(row, plan) else None


def _fits(row: Row, plan: Row) -> bool:
    now = (row.get("serviceofferingid"), row.get("cpunumber"), row.get("memory"))
    return bool(now == (plan["offering"], plan["cpus"], plan["memory_mb"]))


def _names(run: Run, machine: str) -> Row:
    """What the machine is called, and its boot disk where that has no mark."""
    row = _row(run, machine)
    must_be_stopped(row, run.target, "The name")
    roots = run.cloud.list("listVolumes", virtualmachineid=machine, type="ROOT")
    root = next((disk["id"] for disk in roots if volumes.marked_name(disk) is None), None)
    names = {"name": row["name"], "displayname": row.get("displayname") or row["name"], "gce_name": _name(run)}
    return names | {"zoneid": row["zoneid"], "root": root, "disk": _name(run)}


def _name_device(run: Run, machine: str, volume: str, wanted: str | None) -> None:
    """Remember a disk's device name: one that was given none keeps its first, whatever is detached before it."""
    disks = volumes.in_order(run.cloud.list("listVolumes", virtualmachineid=machine))
    kept = overlay.read_many(volumes.KIND, [disk["id"] for disk in disks])
    taken = {
        volumes.device_name(kept.get(disk["id"], {}), index) for index, disk in enumerate(disks) if disk["id"] != volume
    }
    free = (f"persistent-disk-{index}" for index in range(len(disks) + 1))
    name = wanted or next(name for name in free if name not in taken)
    overlay.write(volumes.KIND, volume, run.project.id, kept.get(volume, {}) | {"deviceName": name})


def _keep_devices(run: Run, machine: str, leaving: str) -> None:
    """Remember what the disks behind the one that is ``leaving`` are called: where nobody chose a name it is that of
    their place, which is about to change."""
    disks = volumes.in_order(run.cloud.list("listVolumes", virtualmachineid=machine))
    place = next((index for index, disk in enumerate(disks) if disk["id"] == leaving), len(disks))
    behind = list(enumerate(disks))[place + 1 :]
    kept = overlay.read_many(volumes.KIND, [disk["id"] for _, disk in behind])
    for index, disk in behind:
        known = kept.get(disk["id"], {})
        named = known | {"deviceName": volumes.device_name(known, index)}
        if named != known:
            overlay.write(volumes.KIND, disk["id"], run.project.id, named)
