"""Workflows of instances: deploy, destroy, start, stop, reset.

Apart from the handlers, which have checked everything that can be checked at once. The surprising thing: whatever a
workflow made is found again by the instance's own security group, whose name holds the operation's number; in an
isolated network, where there are no groups, by its displayname, which holds it until all is done. A name alone would
not do: somebody else may have made a machine of that name in the same second, and undoing must not destroy that.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any

from flask import current_app

from gstack.cloudstack.errors import CloudStackError
from gstack.cloudstack.jobs import poll
from gstack.errors import GceError, not_found, not_ready
from gstack.firewall import security_groups
from gstack.firewall.groups import PREFIX
from gstack.operations import addresses, engine, networks
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import machines, tags, volumes

Row = dict[str, Any]

KIND, DISKS = "instances", "disks"
HIDDEN = 530  # what CloudStack answers to users for most things that go wrong inside of it


def sealed(content: Any) -> str:
    """``content`` (JSON) as it may stand in a plan: metadata and user data hold passwords."""
    text: str = current_app.extensions[engine.EXTENSION].sealer.seal(json.dumps(content).encode())
    return text


@workflow("op.instances.insert")
def insert(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: a :class:`gstack.translate.deployments.Deployment`, and sealed ``secrets`` (``userdata``, ``overlay``).

    Groups, new volumes, machine, tags, what is remembered, further disks: in this order, so that undoing destroys the
    machine before the volumes and groups it holds.
    """
    secrets = json.loads(run.unseal(plan["secrets"]))
    groups, placed = _guarded(run, plan)
    extras = [extra | {"volume": extra["volume"] or _make_volume(run, plan, extra)} for extra in plan["extras"]]
    run.progress(20)
    machine = _deploy(run, plan, groups, {"userdata": secrets["userdata"], **placed})
    run.target_id(numeric_id(machine["id"]))
    run.progress(60)
    _tag(run, "tags", "UserVm", machine["id"], plan["tags"] + machine["tags"])
    run.step("remember", _remember, run, machine["id"], secrets["overlay"])
    _boot_disk(run, plan, machine["id"])
    for extra in extras:
        _attach(run, extra, machine["id"])
    if plan["protect"]:
        run.job("protect", "updateVirtualMachine", {"id": machine["id"], "deleteprotection": True})
    if plan.get("access"):
        own_network = (placed.get("networkids") or [None])[0]
        addresses.attach(run, machine["id"], {**plan["access"], "networkid": own_network})
    _converge(run)
    if not groups:
        run.job("displayname", "updateVirtualMachine", {"id": machine["id"], "displayname": plan["name"]})


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
    params = {"id": found["id"], "volumeids": found["doomed"] or None, "expunge": found["expunge"] or None}
    run.job("destroy", "destroyVirtualMachine", params)
    run.progress(80)
    run.step("forget", _forget, found)
    addresses.detach(run, found["addresses"])
    security_groups.leave(run, groups=found["groups"])


@workflow("op.instances.start")
def start(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``, its id."""
    if run.step("look", _state, run, plan["machine"]) == "Running":
        return
    find = partial(_in_state, run, plan["machine"], "Running")
    try:
        run.job("start", "startVirtualMachine", {"id": plan["machine"]}, find=find)
    except GceError:
        # Somebody else may have started it in the same second.
        if run.step("look again", find) is None:
            raise
    _converge(run)


@workflow("op.instances.stop")
def stop(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``, its id; ``forced``: without asking the guest."""
    if run.step("look", _state, run, plan["machine"]) != "Stopped":
        run.job("stop", "stopVirtualMachine", {"id": plan["machine"], "forced": plan["forced"] or None})


@workflow("op.instances.reset")
def reset(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``, its id."""
    if run.step("look", _state, run, plan["machine"]) != "Running":
        raise not_ready(run.target)
    run.job("reset", "rebootVirtualMachine", {"id": plan["machine"]})


def _guarded(run: Run, plan: dict[str, Any]) -> tuple[list[str], Row]:
    """The security groups that the machine joins, and what the deployment says of its network."""
    if plan.get("isolated"):
        made = networks.make(run, plan["make"]) if plan["make"] else None
        return [], {"networkids": [made] if made else plan["deploy"]["networkids"]}
    joined = security_groups.join(
        run,
        network=plan["network"],
        zone=plan["zone"],
        instance=plan["name"],
        tags=plan["network_tags"],
        service_accounts=plan["service_accounts"],
    )
    return joined, {}


def _deploy(run: Run, plan: dict[str, Any], groups: list[str], more: Row) -> Row:
    """The running machine: its ``id``, and the ``tags`` that it needs for its name's sake."""
    token = hashlib.blake2b(run.name.encode()).hexdigest()[:5]
    # With a dot it is no GCE name, so the machine's own counts.
    own = {"group": groups[-1]} if groups else {"displayname": f"{plan['name']}.{token}"}
    params = {**plan["deploy"], **more, "name": plan["name"], "securitygroupids": groups or None}
    params["displayname"] = own.get("displayname")
    run.undo(f"the instance {plan['name']}", _discard, run, own)
    try:
        made = run.job("deploy", "deployVirtualMachine", params, find=lambda: _member(run, own))
        return {"id": made["id"], "tags": []}
    except GceError as error:
        if error.kind != "alreadyExists" or not groups:
            raise _explained(error, plan) from None
        if run.step("look for the name's holder", _taken, run, plan):
            raise
    # Another tenant of the shared network has the name, or a machine that waits for its expunging.
    spare = {"name": machines.spare_name(plan["name"], token), "displayname": plan["name"]}
    made = run.job("deploy elsewise", "deployVirtualMachine", params | spare, find=lambda: _member(run, own))
    return {"id": made["id"], "tags": tags.plan_own((), {machines.NAME: plan["name"]}).create}


def _explained(error: GceError, plan: dict[str, Any]) -> GceError:
    """A refusal whose cause CloudStack hides: the usual one where an address was asked for."""
    address = plan["deploy"].get("ipaddress")
    if address is None or getattr(error, "code", None) != HIDDEN or error.kind != "backendError":
        return error
    message = f"IP '{address}' seems to be in use by another resource: {error.message}"
    return GceError("resourceInUseByAnotherResource", message)


def _taken(run: Run, plan: dict[str, Any]) -> bool:
    """Whether the project has a machine of the plan's name by now."""
    zoneid, name = plan["deploy"]["zoneid"], plan["name"]
    return run.cloud.use(lambda cloud: machines.find(cloud, zoneid, name, ["min"])) is not None


def _make_volume(run: Run, plan: dict[str, Any], extra: dict[str, Any]) -> str:
    """The id of a new volume for a further disk. CloudStack keeps one whose job fails, so undoing looks for it."""
    zoneid, name = plan["deploy"]["zoneid"], extra["name"]
    params = {"zoneid": zoneid, "name": name, "diskofferingid": extra["offering"], "size": extra["size_gb"]}
    run.undo(f"the disk {name}", _drop_volume, run, params)
    made = run.job(f"disk {name}", "createVolume", params, find=lambda: _volume(run, params))
    return str(made["id"])


def _attach(run: Run, extra: dict[str, Any], machine: str) -> None:
    """Attach a further disk, with its marks and what is remembered of it."""
    volume, name = extra["volume"], extra["name"]
    if extra["untag"]:
        run.job(
            f"old tags of {name}",
            "deleteTags",
            {"resourcetype": "Volume", "resourceids": [volume], "tags": extra["untag"]},
        )
    _tag(run, f"tags of {name}", "Volume", volume, extra["tags"])
    run.job(
        f"attach {name}",
        "attachVolume",
        {"id": volume, "virtualmachineid": machine},
        find=lambda: _attached(run, volume, machine),
    )
    if extra["overlay"]:
        run.step(f"remember {name}", overlay.write, DISKS, volume, run.project.id, extra["overlay"])


def _boot_disk(run: Run, plan: dict[str, Any], machine: str) -> None:
    """Marks, labels and what is remembered of the root volume, where there is anything to say."""
    if not (plan["boot_tags"] or plan["boot_overlay"]):
        return
    root = run.step("boot disk", _root, run, machine)
    if root is None:
        raise GceError("internalError", f"CloudStack shows no boot disk of '{run.target}'.")
    _tag(run, "tags of the boot disk", "Volume", root, plan["boot_tags"])
    if plan["boot_overlay"]:
        run.step("remember the boot disk", overlay.write, DISKS, root, run.project.id, plan["boot_overlay"])


def _save_boot_disk(run: Run, found: Row) -> None:
    """Detach a boot disk that is to stay: destroying a machine destroys its root volume."""
    kept, machine = found["kept"], found["id"]
    _tag(run, "name of the boot disk", "Volume", kept["id"], kept["tags"])
    if found["state"] == "Running":
        run.undo("the stop", _do, run, "startVirtualMachine", {"id": machine})
    run.job("stop", "stopVirtualMachine", {"id": machine})
    back = {"id": kept["id"], "virtualmachineid": machine, "deviceid": 0}
    run.undo("the detaching of the boot disk", _do, run, "attachVolume", back)
    run.job(
        "detach the boot disk",
        "detachVolume",
        {"id": kept["id"]},
        find=lambda: _detached(run, kept["id"]),
    )


def _tag(run: Run, step: str, kind: str, resource: str, wanted: list[dict[str, str]]) -> None:
    """Create tags that the resource does not have yet."""
    if wanted:
        params = {"resourcetype": kind, "resourceids": [resource], "tags": wanted}
        run.job(step, "createTags", params, find=lambda: _tagged(run, kind, resource, wanted))


def _converge(run: Run) -> None:
    """Bring the rules of all instances in line. The machine's own were there before it was; what is missing now keeps
    others from reaching it or being reached, so trouble is a warning and the next change of any kind mends it."""
    try:
        sentences = security_groups.converge(run)
    except GceError as error:
        sentences = [f"The firewall rules of other instances could not be brought in line: {error.message}"]
    for sentence in sentences:
        run.warn("NOT_CRITICAL_ERROR", sentence)


# What follows runs inside of steps.


def _for_deletion(run: Run, machine: str) -> Row:
    """What has to be known of a machine before it is destroyed."""
    row = run.cloud.first("listVirtualMachines", id=machine, details=machines.DETAILS)
    if row is None or row["state"] in machines.GONE:
        raise not_found(run.target)
    if row.get("deleteprotection"):
        raise GceError("failedPrecondition", f"'{run.target}' is protected against deletion.")
    disks = run.cloud.list("listVolumes", virtualmachineid=machine)
    root = next((disk for disk in disks if disk["type"] == "ROOT"), None)
    name = run.target.rpartition("/")[2]
    kept = None
    if root is not None and not volumes.auto_delete(root):
        wanted = volumes.marked_name(root) or name
        kept = {"id": root["id"], "tags": tags.plan_own(root.get("tags", ()), {volumes.NAME: wanted}).create}
    capability = run.cloud.call("listCapabilities").get("capability", {})
    return {
        "id": machine,
        "state": row["state"],
        "name": row["name"],
        "displayname": row.get("displayname") or row["name"],
        "gce_name": name,
        # CloudStack changes nothing of a machine that it could not deploy, but expunges it at once.
        "rename": row["state"] != "Error" and not machines.is_tombstone(row),
        "addresses": [] if row.get("securitygroup") else addresses.of_machine(run.cloud, machine),
        "groups": [group["id"] for group in row.get("securitygroup") or () if group["name"].startswith(PREFIX)],
        "doomed": [disk["id"] for disk in disks if disk["type"] != "ROOT" and volumes.auto_delete(disk)],
        "disks": [disk["id"] for disk in disks if volumes.auto_delete(disk)],
        "kept": kept,
        "expunge": bool(capability.get("allowuserexpungerecovervm")),
    }


def _forget(found: Row) -> None:
    overlay.drop(KIND, found["id"])
    for disk in found["disks"]:
        overlay.drop(DISKS, disk)


def _remember(run: Run, machine: str, content: dict[str, Any]) -> None:
    overlay.write(KIND, machine, run.project.id, content)


def _discard(run: Run, own: Row) -> None:
    """Destroy the machine that is the operation's own, whatever became of it."""
    row = _member(run, own)
    if row is None:
        return
    if row["state"] != "Error":
        run.cloud.call("updateVirtualMachine", id=row["id"], name=machines.tombstone(row["id"]))
    _do(run, "destroyVirtualMachine", {"id": row["id"]})
    overlay.drop(KIND, row["id"])
    for disk in run.cloud.list("listVolumes", virtualmachineid=row["id"]):
        overlay.drop(DISKS, disk["id"])


def _drop_volume(run: Run, params: dict[str, Any]) -> None:
    row = _volume(run, params)
    if row is not None:
        run.cloud.call("deleteVolume", id=row["id"])
        overlay.drop(DISKS, row["id"])


def _do(run: Run, command: str, params: dict[str, Any]) -> None:
    """One command and its job, inside of a step: to take something back."""
    jobid = run.cloud.call(command, **params).get("jobid")
    if jobid is None:
        return
    while True:
        job = run.cloud.use(lambda cloud: poll(cloud, jobid, command))
        if job.failed:
            raise job.error or CloudStackError(command, 530, "The job failed without a word.")
        if job.done:
            return
        run.runtime.pause(run.runtime.patience.job_poll)


def _member(run: Run, own: Row) -> Row | None:
    """The machine in a ``group`` that was made for one, or with a ``displayname`` that only one has."""
    if "group" in own:
        rows = run.cloud.list("listVirtualMachines", securitygroupid=own["group"])
    else:
        shown = own["displayname"]
        rows = [row for row in run.cloud.list("listVirtualMachines", keyword=shown) if row.get("displayname") == shown]
    return next((row for row in rows if row["state"] not in machines.GONE), None)


def _state(run: Run, machine: str) -> str:
    row = run.cloud.first("listVirtualMachines", id=machine, details=["min"])
    if row is None or row["state"] in machines.GONE:
        raise not_found(run.target)
    return str(row["state"])


def _in_state(run: Run, machine: str, state: str) -> Row | None:
    row: Row | None = run.cloud.first("listVirtualMachines", id=machine, details=["min"])
    return row if row is not None and row["state"] == state else None


def _root(run: Run, machine: str) -> str | None:
    rows = run.cloud.list("listVolumes", virtualmachineid=machine, type="ROOT")
    return str(rows[0]["id"]) if rows else None


def _volume(run: Run, params: dict[str, Any]) -> Row | None:
    """The volume that createVolume made of ``params``. When the request was checked there was none of that name, and
    the name is claimed since; offering, size and being attached to nothing tell it from one that another tool made in
    the seconds between."""
    rows = run.cloud.list("listVolumes", zoneid=params["zoneid"], name=params["name"])
    return next(
        (
            row
            for row in rows
            if "virtualmachineid" not in row
            and row.get("diskofferingid") == params["diskofferingid"]
            and params["size"] in (None, volumes.size_gb(row))
            and row["state"] not in volumes.GONE
        ),
        None,
    )


def _attached(run: Run, volume: str, machine: str) -> Row | None:
    row: Row | None = run.cloud.first("listVolumes", id=volume)
    return row if row is not None and row.get("virtualmachineid") == machine else None


def _detached(run: Run, volume: str) -> Row | None:
    row: Row | None = run.cloud.first("listVolumes", id=volume)
    return row if row is not None and "virtualmachineid" not in row else None


def _tagged(run: Run, kind: str, resource: str, wanted: list[dict[str, str]]) -> Row | None:
    command = "listVirtualMachines" if kind == "UserVm" else "listVolumes"
    row: Row | None = run.cloud.first(command, id=resource)
    there = {tag.get("key") for tag in row.get("tags", ())} if row else set()
    return row if all(tag["key"] in there for tag in wanted) else None
