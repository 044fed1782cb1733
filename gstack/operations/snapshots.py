"""Workflows of snapshots: take one of a disk, delete one.

Apart from the handlers, of which two take snapshots: the disk's and the snapshots' own. The surprising thing: the tags
go with the command itself, one of them with the operation's name, so a snapshot whose answer was lost is found again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import GceError, already_exists, invalid
from gstack.operations import engine
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import snapshots, tags, volumes
from gstack.translate.names import checked_name
from gstack.translate.places import Place

Row = dict[str, Any]


def begin(call: Call, place: Place, disk: str, row: Mapping[str, Any], *, sub_action: bool) -> dict[str, Any]:
    """Start taking the snapshot that ``call.body`` asks for, of the volume ``row`` in zone ``place`` whose link from
    ``projects/`` on is ``disk``. ``sub_action``: the operation is one on the disk, not on the snapshot. Raises
    GceError."""
    name, kept_in = checked_name(call.body.get("name")), call.body.get("storageLocations") or [place.region]
    if kept_in != [place.region]:
        why = f"CloudStack keeps a snapshot near its disk, in {place.region}."
        raise invalid("resource.storageLocations", ", ".join(kept_in), why)
    volumes.require_storage(row, disk)
    path = f"projects/{call.project}/global/snapshots/{name}"
    if snapshots.find(call.caller.cloud, name, thorough=False) is not None:
        raise already_exists(path)
    kept = {key: call.body[key] for key in ("description", "snapshotType") if call.body.get(key)}
    plan = {
        "name": name,
        "volume": row["id"],
        "tags": tags.new_tags(call.body.get("labels") or {}, {snapshots.DISK: disk.rpartition("/")[2]}),
        "overlay": kept,
        "sub_action": sub_action,
    }
    return engine.start(
        call,
        "op.snapshots.insert",
        type="createSnapshot" if sub_action else "insert",
        target=disk if sub_action else path,
        target_id=numeric_id(row["id"]) if sub_action else None,
        plan=plan,
        claim=path,
        line=disk,
    )


@workflow("op.snapshots.insert")
def insert(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``name``; ``volume``, its id; ``tags``; ``overlay``; ``sub_action``, whether the disk is the target."""
    made = take(run, plan["volume"], plan["name"], plan["tags"])
    if not plan["sub_action"]:
        run.target_id(numeric_id(made["id"]))
    if plan["overlay"]:
        run.step("remember", overlay.write, snapshots.KIND, made["id"], run.project.id, plan["overlay"])


def take(run: Run, volume: str, name: str, wanted: list[dict[str, str]]) -> dict[str, Any]:
    """Take a snapshot of a volume with the tags ``wanted``; undone if the operation fails. One to an operation."""
    mine = tags.plan_own((), {snapshots.OPERATION: run.name}).create
    params = {"volumeid": volume, "name": name, "tags": wanted + mine}
    run.undo(f"the snapshot {name}", _discard, run, mine)
    return run.job("snapshot", "createSnapshot", params, find=lambda: _made(run, mine))


@workflow("op.snapshots.delete")
def delete(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``snapshot``, its id."""
    try:
        run.job("delete", "deleteSnapshot", {"id": plan["snapshot"]})
    except GceError as error:
        # What is gone already fails in the job, so an answer that was lost comes out here.
        if error.kind != "notFound":
            raise
    run.step("forget", overlay.drop, snapshots.KIND, plan["snapshot"])


# What follows runs inside of steps.


def _made(run: Run, mine: list[dict[str, str]]) -> Row | None:
    rows = run.cloud.list("listSnapshots", tags=mine)
    return next((row for row in rows if row["state"] not in snapshots.GONE and row["state"] != "Error"), None)


def _discard(run: Run, mine: list[dict[str, str]]) -> None:
    for row in run.cloud.list("listSnapshots", tags=mine):
        if row["state"] not in snapshots.GONE:
            run.obey("deleteSnapshot", {"id": row["id"]})
            overlay.drop(snapshots.KIND, row["id"])
