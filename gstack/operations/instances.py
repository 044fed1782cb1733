"""Workflows of instances that are there: destroy, start, stop, reset.

Apart from the handlers, which have checked everything that can be checked at once. The surprising thing: every check is
made again in the first step, as operations on one instance run one after the other, and the one before may have changed
it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gstack.errors import GceError, not_ready
from gstack.firewall import security_groups
from gstack.operations import addresses, attachments, balancing, balancing_changes, labels, states
from gstack.operations.firewalls import converge_or_warn
from gstack.operations.instance_inserts import FIXED
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.store import overlay
from gstack.translate import machines, passwords, tags, volumes
from gstack.translate.balancing import fronts_of_machine

Row = dict[str, Any]


@workflow("op.instances.delete")
def delete(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``, its id.

    The machine gets a tombstone's name first: until it is expunged, a day later, it would keep its own from others.
    """
    found = run.step("look", _for_deletion, run, plan["machine"])
    if found["rename"]:
        before = {"id": found["id"], "name": found["name"], "displayname": found["displayname"]}
        run.undo_job("the tombstone's name", "updateVirtualMachine", before)
        after = {"id": found["id"], "name": machines.tombstone(found["id"]), "displayname": found["gce_name"]}
        run.job("tombstone", "updateVirtualMachine", after)
    if found["kept"] is not None:
        _save_boot_disk(run, found)
    for nic in found["fixed"]:
        _leave_address(run, found, nic)
    params = {"id": found["id"], "volumeids": found["doomed"] or None, "expunge": found["expunge"] or None}
    run.job("destroy", "destroyVirtualMachine", params)
    run.progress(80)
    run.step("forget", _forget, found)
    addresses.detach(run, found["addresses"])
    security_groups.leave(run, groups=found["groups"])
    names = [found["gce_name"]]
    led = run.step("balancers of it", fronts_of_machine, run.project, found["zoneid"], names, found["id"])
    run.step("leave groups", balancing_changes.forget, run.project, found["id"])
    balancing.settle_or_warn(run, lambda: led)


@workflow("op.instances.start")
def start(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``, its id."""
    state = run.step("look", states.state_of, run, plan["machine"])
    if state == "Running":
        return
    if state != "Stopped":  # CloudStack would say no more than that it could not
        raise not_ready(run.target)
    find = partial(states.in_state, run, plan["machine"], "Running")
    try:
        run.job("start", "startVirtualMachine", {"id": plan["machine"]}, find=find)
    except GceError:
        # Somebody else may have started it in the same second.
        if run.step("look again", find) is None:
            raise
    converge_or_warn(run)


@workflow("op.instances.stop")
def stop(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``, its id; ``forced``: without asking the guest."""
    if run.step("look", states.state_of, run, plan["machine"]) != "Stopped":
        run.job("stop", "stopVirtualMachine", {"id": plan["machine"], "forced": plan["forced"] or None})


@workflow("op.instances.reset")
def reset(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``, its id."""
    if run.step("look", states.state_of, run, plan["machine"]) != "Running":
        raise not_ready(run.target)
    run.job("reset", "rebootVirtualMachine", {"id": plan["machine"]})


def _save_boot_disk(run: Run, found: Row) -> None:
    """Detach a boot disk that is to stay: destroying a machine destroys its root volume."""
    kept, machine = found["kept"], found["id"]
    labels.create(run, "name of the boot disk", "Volume", kept["id"], kept["tags"])
    _halt(run, found)
    back = {"id": kept["id"], "virtualmachineid": machine, "deviceid": 0}
    run.undo("the detaching of the boot disk", run.obey, "attachVolume", back)
    attachments.detach(run, "detach the boot disk", kept["id"])


def _leave_address(run: Run, found: Row, nic: Row) -> None:
    """Give a machine that is to be destroyed any other address than the one that was asked for. CloudStack keeps its
    addresses until it is expunged, a day later, and an instance that takes its place asks for the same."""
    _halt(run, found)
    try:
        run.job(f"leave {nic['address']}", "updateVmNicIp", {"nicid": nic["id"]})
    except GceError as error:
        run.warn("NOT_CRITICAL_ERROR", f"CloudStack keeps the address {nic['address']} for a while: {error.message}")
        return
    before = {"nicid": nic["id"], "ipaddress": nic["address"]}
    run.undo(f"the leaving of {nic['address']}", run.obey, "updateVmNicIp", before)


def _halt(run: Run, found: Row) -> None:
    """Stop a machine, once."""
    if found["state"] == "Running":
        run.undo("the stop", run.obey, "startVirtualMachine", {"id": found["id"]})
    if found["state"] != "Stopped":
        run.job("stop", "stopVirtualMachine", {"id": found["id"]})
        found["state"] = "Stopped"


# What follows runs inside of steps.


def _for_deletion(run: Run, machine: str) -> Row:
    """What has to be known of a machine before it is destroyed."""
    row = states.machine(run, machine, machines.DETAILS)
    if row.get("deleteprotection"):
        raise GceError("failedPrecondition", f"'{run.target}' is protected against deletion.")
    disks = run.cloud.list("listVolumes", virtualmachineid=machine)
    root = next((disk for disk in disks if disk["type"] == "ROOT"), None)
    name = run.target.rpartition("/")[2]
    kept = None
    if root is not None and not volumes.auto_delete(root):
        wanted = volumes.marked_name(root) or name
        kept = {"id": root["id"], "tags": tags.plan_own(root.get("tags", ()), {volumes.NAME: wanted}).create}
    expunge = states.may_expunge(run)
    fixed = () if expunge else overlay.read(machines.KIND, machine).get(FIXED, ())
    return {
        "id": machine,
        "zoneid": row["zoneid"],
        "state": row["state"],
        "name": row["name"],
        "displayname": row.get("displayname") or row["name"],
        "gce_name": name,
        # CloudStack changes nothing of a machine that it could not deploy, but expunges it at once.
        "rename": row["state"] != "Error" and not machines.is_tombstone(row),
        "addresses": [] if row.get("securitygroup") else addresses.of_machine(run.cloud, machine),
        "groups": [group["id"] for group in row.get("securitygroup") or () if group["name"].startswith(tags.OWN)],
        "doomed": [disk["id"] for disk in disks if disk["type"] != "ROOT" and volumes.auto_delete(disk)],
        "disks": [disk["id"] for disk in disks if volumes.auto_delete(disk)],
        "kept": kept,
        "expunge": expunge,
        "fixed": [
            {"id": nic["id"], "address": nic.get("ipaddress")}
            for nic in row.get("nic") or ()
            if nic.get("networkid") in fixed and not row.get("securitygroup") and row["state"] in ("Running", "Stopped")
        ],
    }


def _forget(found: Row) -> None:
    overlay.drop(machines.KIND, found["id"])
    overlay.drop(passwords.KIND, found["id"])
    for disk in found["disks"]:
        overlay.drop(volumes.KIND, disk)
