"""The workflow that changes several things of an instance at once, restarting it where one of them needs that.

Apart because it is made of the others' workflows: each of them looks again and takes back what it did. The surprising
thing: what is remembered is put back as a whole when something fails later, as the steps in between each change a part.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from gstack.operations import instance_changes, labels, states
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.store import overlay
from gstack.translate import machines, tags

Row = dict[str, Any]

# In this order: what needs a stopped machine comes first, and it is running again before the rest.
STOPPED = {
    "machineType": instance_changes.set_machine_type,
    "serviceAccounts": instance_changes.set_service_account,
}
ANYTIME = {
    "tags": instance_changes.set_tags,
    "metadata": instance_changes.set_metadata,
    "scheduling": instance_changes.set_scheduling,
}


@workflow("op.instances.update")
def update(run: Run, plan: Row) -> None:
    """``plan``: ``machine``; ``restart``, of a running one; ``changes``, the plans of the workflows by member, and
    ``labels``, ``deletionProtection`` and ``description`` themselves."""
    machine, changes = plan["machine"], plan["changes"]
    before = run.step("remembered", lambda: run.seal(json.dumps(overlay.read(machines.KIND, machine))))
    run.undo("what is remembered", _put_back, run, machine, before)
    stopped = plan["restart"] and run.step("look", states.state_of, run, machine) == "Running"
    if stopped:
        run.undo("the stop", run.obey, "startVirtualMachine", {"id": machine})
        run.job("stop", "stopVirtualMachine", {"id": machine})
    for member, change in STOPPED.items():
        if member in changes:
            change(run, {"machine": machine, **changes[member]})
    if stopped:
        started = partial(states.in_state, run, machine, "Running")
        run.job("start", "startVirtualMachine", {"id": machine}, find=started)
        run.undo("the start", run.obey, "stopVirtualMachine", {"id": machine})
    if "labels" in changes:
        _label(run, machine, changes["labels"])
    if "deletionProtection" in changes:
        protect = changes["deletionProtection"]
        run.undo_job("the protection", "updateVirtualMachine", {"id": machine, "deleteprotection": not protect})
        instance_changes.set_deletion_protection(run, {"machine": machine, "protect": protect})
    for member, change in ANYTIME.items():
        if member in changes:
            change(run, {"machine": machine, **changes[member]})
    if "description" in changes:
        run.step("description", instance_changes.amend, run, machine, {"description": changes["description"]})


def _label(run: Run, machine: str, wanted: Row) -> None:
    """``wanted``: ``labels`` and ``fingerprint``."""
    before = run.step("labels before", lambda: tags.labels(labels.present(run, "UserVm", machine)))
    run.undo("the labels", _unlabel, run, machine, before)
    labels.set_labels(run, {"kind": "UserVm", "id": machine, **wanted})


# What follows runs inside of steps.


def _put_back(run: Run, machine: str, sealed: str) -> None:
    before = json.loads(run.unseal(sealed))
    if before:
        overlay.write(machines.KIND, machine, run.project.id, before)
    else:
        overlay.drop(machines.KIND, machine)


def _unlabel(run: Run, machine: str, before: dict[str, str]) -> None:
    labels.put_back(run, "UserVm", machine, tags.plan_labels(labels.present(run, "UserVm", machine), before))
