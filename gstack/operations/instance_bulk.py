"""The workflow around many instances that are made at once.

Apart because it makes nothing itself: each instance has an operation of its own, of the same group. This one waits for
them, and deletes what was made where it is less than was asked for. The surprising thing: it gives its place among the
running operations to others while it waits, or many of its kind would wait for ever for what they keep from running.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from gstack.errors import KINDS, GceError
from gstack.operations.run import Run
from gstack.operations.view import BULK_INSERT
from gstack.operations.workflow import workflow
from gstack.store.db import db
from gstack.store.operations import DONE, Operation
from gstack.translate import machines

Row = dict[str, Any]

WORKFLOW = "op.instances.bulkInsert"
PATIENCE = 3 * 3600.0  # seconds; CloudStack cancels a job after one hour


@workflow(WORKFLOW)
def bulk_insert(run: Run, plan: Row) -> None:
    """``plan``: ``group``, of the operations; ``least``, how few instances are enough; ``zones``, CloudStack's ids by
    name."""
    ended = run.poll("instances", _ended, plan["group"], within=PATIENCE, lent=True)
    if ended is None:
        raise GceError("backendError", "The instances were not made in time; their own operations go on.")
    made = [one for one in ended if one["error"] is None]
    failed = [one for one in ended if one["error"] is not None]
    if len(made) >= plan["least"]:
        for one in failed:
            run.warn("NOT_CRITICAL_ERROR", one["error"]["message"])
        return
    for one in made:
        zoneid = plan["zones"][one["zone"]]
        machine = run.step(f"look for {one['name']}", _machine, run, zoneid, one["name"])
        if machine is not None:
            run.later("op.instances.delete", {"machine": machine}, target=one["target"])
            run.poll(f"{one['name']} gone", lambda key: _gone(run, key), machine, lent=True)
    first = failed[0]["error"]
    undone = f" Deleted again: {', '.join(one['name'] for one in made)}." if made else ""
    message = f"Only {len(made)} of {len(ended)} instances could be made, and {plan['least']} are needed: "
    raise GceError(_kind(first), message + first["message"] + undone)


def _kind(error: Row) -> str:
    return next((kind for kind, rule in KINDS.items() if rule.operation == error["code"]), "backendError")


# What follows runs inside of steps.


def _ended(group: str) -> list[Row] | None:
    """The operations of the group's instances once all have ended, or None."""
    db.session.rollback()  # or SQLite shows what was there at the first look
    query = select(Operation).where(Operation.operation_group_id == group, Operation.type != BULK_INSERT)
    found = list(db.session.scalars(query.order_by(Operation.target_link).execution_options(populate_existing=True)))
    if any(one.status != DONE for one in found):
        return None
    return [
        {
            "target": one.target_link,
            "name": one.target_link.rpartition("/")[2],
            "zone": one.scope.rpartition("/")[2],
            "error": one.error["error"]["errors"][0] if one.error else None,
        }
        for one in found
    ]


def _machine(run: Run, zoneid: str, name: str) -> str | None:
    found = run.cloud.use(lambda cloud: machines.find(cloud, zoneid, name, ["min"]))
    return None if found is None else str(found[1]["id"])


def _gone(run: Run, machine: str) -> bool:
    row = run.cloud.first("listVirtualMachines", id=machine, details=["min"])
    return row is None or row["state"] in machines.GONE
