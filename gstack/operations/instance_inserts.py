"""The workflow that makes an instance.

Apart from the rest of an instance's life because it alone makes things, of several kinds, and takes them back. The
surprising thing: whatever it made is found again by the instance's own security group, whose name holds the operation's
number; in an isolated network, where there are no groups, by its displayname, which holds it until all is done. A name
alone would not do: somebody else may have made a machine of that name in the same second, and undoing must not destroy
that.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from gstack.errors import GceError
from gstack.firewall import security_groups
from gstack.operations import addresses, attachments, balancing, disks, engine, labels
from gstack.operations import nics as nics_of
from gstack.operations.failures import HIDDEN
from gstack.operations.firewalls import converge_or_warn
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import machines, passwords, tags, volumes
from gstack.translate.balancing import fronts_of_machine
from gstack.translate.deployments import Deployment
from gstack.translate.interfaces import deploy_parameters

Row = dict[str, Any]

FIXED = "fixed"  # in which of its networks, CloudStack's ids, an instance has an address that was asked for
WORKFLOW = "op.instances.insert"


def part(project: str, plan: Deployment, userdata: str | None, remembered: Row) -> engine.Part:
    """The operation that makes an instance; ``userdata`` and ``remembered`` may hold passwords."""
    zone = f"projects/{project}/zones/{plan.zone}"
    path = f"{zone}/instances/{plan.name}"
    secrets = engine.sealed({"userdata": userdata, "overlay": remembered})
    claim = [path, *(f"{zone}/disks/{name}" for name in plan.new_disks)]
    return engine.Part(WORKFLOW, "insert", path, {**plan.as_json(), "secrets": secrets}, claim)


@workflow(WORKFLOW)
def insert(run: Run, plan: Row) -> None:
    """``plan``: a :class:`gstack.translate.deployments.Deployment`, and sealed ``secrets`` (``userdata``, ``overlay``).

    Groups, new volumes, machine, tags, what is remembered, further disks: in this order, so that undoing destroys the
    machine before the volumes and groups it holds. Some disks must be there at the first start.
    """
    secrets = json.loads(run.unseal(plan["secrets"]))
    nics = nics_of.joined(run, plan["interfaces"])
    groups, placed = _guarded(run, plan, nics)
    for warning in plan["boot"].get("warnings", ()):
        run.warn(**warning)
    boot, extras = _with_volume(run, plan["boot"]), [_with_volume(run, extra) for extra in plan["extras"]]
    run.progress(20)
    placed |= {"userdata": secrets["userdata"]}
    template = boot["template"] or run.step("image", attachments.template_of, run, boot["volume"])
    cold = boot["volume"] is not None or _of_others(extras, template)
    if cold:
        placed |= {"templateid": template, "startvm": False}
    machine = _deploy(run, plan, groups, placed, boot["volume"])
    run.target_id(numeric_id(machine["id"]))
    run.progress(60)
    labels.create(run, "tags", "UserVm", machine["id"], plan["tags"] + machine["tags"])
    fixed = [nic["networkid"] for nic in nics if nic["address"]]
    content = secrets["overlay"] | ({FIXED: fixed} if fixed else {})
    run.step("remember", overlay.write, machines.KIND, machine["id"], run.project.id, content)
    told = attachments.fill(run, machine["id"], boot, extras, cold=template if cold else None)
    password = machine["password"] or told
    if password is not None:
        run.step("remember the password", _keep_password, run, machine["id"], password)
    if plan["protect"]:
        run.job("protect", "updateVirtualMachine", {"id": machine["id"], "deleteprotection": True})
    for nic in nics:
        if nic["access"]:
            addresses.attach(run, machine["id"], nic["access"])
    nics_of.add_aliases(run, machine["id"], nics)
    converge_or_warn(run)
    zoneid, names = plan["deploy"]["zoneid"], [plan["name"]]
    balancing.settle_or_warn(run, lambda: fronts_of_machine(run.project, zoneid, names))
    if not groups:
        run.job("displayname", "updateVirtualMachine", {"id": machine["id"], "displayname": plan["name"]})


def _with_volume(run: Run, disk: Row) -> Row:
    """``disk`` with the volume that had to be made for it, if one had to be."""
    return disk | {"volume": disks.make(run, disk["make"])} if disk["make"] else disk


def _of_others(extras: list[Row], template: str) -> bool:
    """Whether there is a disk of another image than the machine's, ``template``: it has to be there at the first start,
    which fills each volume of its own."""
    return any(extra["awaits"] not in (None, template) for extra in extras)


def _guarded(run: Run, plan: Row, nics: list[Row]) -> tuple[list[str], Row]:
    """The security groups that the machine joins, and what the deployment says of its networks."""
    if plan["isolated"]:
        return [], deploy_parameters(nics)
    joined = security_groups.join(
        run,
        network=plan["network"],
        zone=plan["zone"],
        instance=plan["name"],
        tags=plan["network_tags"],
        service_accounts=plan["service_accounts"],
    )
    return joined, {}


def _deploy(run: Run, plan: Row, groups: list[str], more: Row, kept: str | None) -> Row:
    """The machine: its ``id``, the ``tags`` that it needs for its name's sake, and its sealed ``password`` or None.
    ``kept`` is a volume that must outlive it if it has to go again."""
    token = hashlib.blake2b(run.name.encode()).hexdigest()[:5]
    # With a dot it is no GCE name, so the machine's own counts.
    own = {"group": groups[-1]} if groups else {"displayname": f"{plan['name']}.{token}"}
    params = {**plan["deploy"], **more, "name": plan["name"], "securitygroupids": groups or None}
    params["displayname"] = own.get("displayname")
    run.undo(f"the instance {plan['name']}", _discard, run, own, kept)
    try:
        made = run.job("deploy", "deployVirtualMachine", params, find=lambda: _member(run, own))
        return {"id": made["id"], "tags": [], "password": made.get("password")}
    except GceError as error:
        if error.kind != "alreadyExists" or not groups:
            raise _explained(error, plan) from None
        if run.step("look for the name's holder", _taken, run, plan):
            raise
    # Another tenant of the shared network has the name, or a machine that waits for its expunging.
    spare = {"name": machines.spare_name(plan["name"], token), "displayname": plan["name"]}
    made = run.job("deploy elsewise", "deployVirtualMachine", params | spare, find=lambda: _member(run, own))
    named = tags.plan_own((), {machines.NAME: plan["name"]}).create
    return {"id": made["id"], "tags": named, "password": made.get("password")}


def _explained(error: GceError, plan: Row) -> GceError:
    """A refusal whose cause CloudStack hides: the usual one where an address was asked for."""
    wanted = [nic["address"] for nic in plan["interfaces"] if nic["address"]]
    if not wanted or getattr(error, "code", None) != HIDDEN or error.kind != "backendError":
        return error
    message = f"IP '{', '.join(wanted)}' seems to be in use by another resource: {error.message}"
    return GceError("resourceInUseByAnotherResource", message)


# What follows runs inside of steps.


def _taken(run: Run, plan: Row) -> bool:
    """Whether the project has a machine of the plan's name by now."""
    zoneid, name = plan["deploy"]["zoneid"], plan["name"]
    return run.cloud.use(lambda cloud: machines.find(cloud, zoneid, name, ["min"])) is not None


def _keep_password(run: Run, machine: str, password: str) -> None:
    """CloudStack says a password in the job that starts a machine for the first time, and never again."""
    overlay.write(passwords.KIND, machine, run.project.id, {passwords.MEMBER: run.unseal(password)})


def _discard(run: Run, own: Row, kept: str | None) -> None:
    """Destroy the machine that is the operation's own, whatever became of it. Destroying takes its root volume along,
    so one that is to be ``kept`` is taken out first."""
    row = _member(run, own)
    if row is None:
        return
    if kept is not None:
        attachments.release(run, row, kept)
    if row["state"] != "Error":
        run.cloud.call("updateVirtualMachine", id=row["id"], name=machines.tombstone(row["id"]))
    held = run.cloud.list("listVolumes", virtualmachineid=row["id"])
    run.obey("destroyVirtualMachine", {"id": row["id"]})
    overlay.drop(machines.KIND, row["id"])
    overlay.drop(passwords.KIND, row["id"])
    for disk in held:
        if volumes.is_boot(disk):
            overlay.drop(volumes.KIND, disk["id"])
        else:
            attachments.rename_device(run, disk["id"], {})
    if kept is not None:
        attachments.rename_device(run, kept, {})


def _member(run: Run, own: Row) -> Row | None:
    """The machine in a ``group`` that was made for one, or with a ``displayname`` that only one has."""
    if "group" in own:
        rows = run.cloud.list("listVirtualMachines", securitygroupid=own["group"])
    else:
        shown = own["displayname"]
        rows = [row for row in run.cloud.list("listVirtualMachines", keyword=shown) if row.get("displayname") == shown]
    return next((dict(row) for row in rows if row["state"] not in machines.GONE), None)
