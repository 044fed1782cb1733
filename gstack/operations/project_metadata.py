"""The workflow that changes the metadata which all instances of a project share.

Apart from that of one instance because it touches many. The surprising thing: CloudStack keeps user data machine by
machine, so what a guest is told of its project is told to each; those are changed for which the change means anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gstack.errors import GceError
from gstack.operations.instance_changes import FOREIGN, check_fingerprint
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.store import overlay
from gstack.translate import machines, project_metadata, userdata

Row = dict[str, Any]


@workflow("op.projects.setCommonInstanceMetadata")
def set_common_metadata(run: Run, plan: Row) -> None:
    """``plan``: ``fingerprint``; sealed ``secrets``: the items."""
    items = json.loads(run.unseal(plan["secrets"]))
    concerned = run.step("machines", _concerned, run, plan["fingerprint"], items)
    run.step("remember", project_metadata.write, run.project, items)
    for number, machine in enumerate(concerned):
        complaint = run.step(f"user data of {machine}", _tell, run, machine, items)
        if complaint is not None:
            run.warn("NOT_CRITICAL_ERROR", f"An instance is not told of the metadata: {complaint}")
        run.progress(100 * number // len(concerned))


# What follows runs inside of steps.


def _concerned(run: Run, seen: str | None, items: Sequence[Row]) -> list[str]:
    """The machines whose guests are told something else from now on. Raises GceError conditionNotMet."""
    before = project_metadata.read(run.project)
    check_fingerprint(seen, before, "metadata")
    found = []
    for machine, kept in overlay.of_project(machines.KIND, run.project.id).items():
        if "metadata" in kept and not kept.get(FOREIGN) and _said(kept, before) != _said(kept, items):
            found.append(machine)
    return sorted(found)


def _said(kept: Row, shared: Sequence[Row]) -> str | None:
    try:
        return userdata.compose(kept["metadata"], kept.get("hostname"), shared, later=True)
    except GceError as error:
        return error.message


def _tell(run: Run, machine: str, shared: Sequence[Row]) -> str | None:
    """Give a machine its new user data; why it cannot have it. One that is gone needs none."""
    kept = overlay.read(machines.KIND, machine)
    try:
        if kept:
            said = userdata.compose(kept.get("metadata", []), kept.get("hostname"), shared, later=True)
            run.cloud.call("updateVirtualMachine", id=machine, userdata=said)
    except GceError as error:
        return None if error.kind == "notFound" else error.message
    return None
