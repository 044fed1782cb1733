"""Workflows of disks: make, delete, resize.

Apart from the handlers, which have checked everything that can be checked at once. The surprising thing: a volume made
of a snapshot has the size and the offering of the disk that the snapshot was taken of, whatever was asked for, so it is
grown afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.errors import GceError
from gstack.operations import carriers, labels, schedules, snapshots
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import tags, volumes
from gstack.translate.schedules import Schedule

Row = dict[str, Any]


@workflow("op.disks.insert")
def insert(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: as of :func:`make`, and ``schedule``, that of its snapshots, or None."""
    volume = make(run, plan, begun=lambda volume: run.target_id(numeric_id(volume)))
    if plan["schedule"] is not None:
        schedules.attach(run, volume, plan["create"]["name"], Schedule(**plan["schedule"]))


def make(run: Run, plan: dict[str, Any], begun: Callable[[str], None] = lambda _: None) -> str:
    """Make a volume with all that belongs to it; its id. CloudStack keeps one whose job fails, so undoing looks for it.

    ``plan``: ``create``, parameters of createVolume; ``zone``, CloudStack's id; ``size_gb``, to grow to, or None;
    ``tags``; ``type``, the name of a disk type that the offering is not called, or None; ``overlay``; ``copy_of``, the
    id of the volume that it is to be a copy of, or absent; ``carrier``, where it is made of an image, or absent, as of
    :func:`gstack.operations.carriers.make`; ``warnings``, arguments of :meth:`Run.warn`, or absent. ``begun`` is told
    the id as soon as there is one.
    """
    for warning in plan.get("warnings", ()):
        run.warn(**warning)
    if plan.get("carrier") is not None:
        volume = carriers.make(run, plan, begun)
        _remember(run, volume, plan)
        return volume
    params, zone, origin = plan["create"], plan["zone"], plan.get("copy_of")
    if origin is not None:
        between = snapshots.take(run, origin, f"copy-{run.name}", [])
        params = params | {"snapshotid": between["id"]}
    run.undo(f"the disk {params['name']}", _discard, run, zone, params)
    made = run.job(f"disk {params['name']}", "createVolume", params, find=lambda: _made(run, zone, params))
    volume = str(made["id"])
    begun(volume)
    if plan["size_gb"] is not None:
        _grow(run, volume, plan["size_gb"])
    wanted = plan["tags"]
    if plan["type"] is not None:
        offering = run.step("offering", _offering, run, volume)
        wanted = wanted + tags.plan_own((), {volumes.TYPE: volumes.type_mark(plan["type"], offering)}).create
    labels.create(run, "tags", "Volume", volume, wanted)
    _remember(run, volume, plan)
    if origin is not None:
        _tidy(run, between)
    return volume


def _remember(run: Run, volume: str, plan: Row) -> None:
    if plan["overlay"]:
        run.step("remember", overlay.write, volumes.KIND, volume, run.project.id, plan["overlay"])


def _tidy(run: Run, between: Row) -> None:
    """Delete the snapshot that a disk was copied by. The disk is whole, so it stays if that fails."""
    try:
        run.job("delete the snapshot", "deleteSnapshot", {"id": between["id"]})
    except GceError as error:
        run.warn("CLEANUP_FAILED", f"The snapshot of which the disk was made is left over: {error.message}")


@workflow("op.disks.delete")
def delete(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``volume``, its id."""
    run.job("delete", "deleteVolume", {"id": plan["volume"]})
    run.step("forget", overlay.drop, volumes.KIND, plan["volume"])


@workflow("op.disks.resize")
def resize(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``volume``, its id; ``size_gb``."""
    _grow(run, plan["volume"], plan["size_gb"])


@workflow("op.disks.update")
def update(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``volume``, its id; ``labels``, or None to leave them, with ``fingerprint``; ``size_gb``, or None."""
    if plan["labels"] is not None:
        labels.replace(run, "Volume", plan["volume"], plan["labels"], plan["fingerprint"])
    if plan["size_gb"] is not None:
        _grow(run, plan["volume"], plan["size_gb"])


def _grow(run: Run, volume: str, size_gb: int) -> None:
    """Bring a volume to a size in GiB, unless it has it already."""
    if run.step("look at the size", _of_size, run, volume, size_gb) is None:
        params = {"id": volume, "size": size_gb}
        run.job("resize", "resizeVolume", params, find=lambda: _of_size(run, volume, size_gb))


# What follows runs inside of steps.


def _made(run: Run, zone: str, params: Row) -> Row | None:
    """The volume that createVolume made of ``params``. When the request was checked there was none of that name, and
    the name is claimed since; the offering and being attached to nothing tell it from one that another tool made in the
    seconds between. CloudStack does not list which snapshot a volume was made of."""
    for row in run.cloud.list("listVolumes", zoneid=zone, name=params["name"]):
        fits = params.get("diskofferingid") in (None, row.get("diskofferingid"))
        if fits and "virtualmachineid" not in row and row["state"] not in volumes.GONE:
            return dict(row)
    return None


def _discard(run: Run, zone: str, params: Row) -> None:
    """Delete what createVolume made: CloudStack keeps a volume whose job fails."""
    row = _made(run, zone, params)
    if row is not None:
        run.obey("deleteVolume", {"id": row["id"]})
        overlay.drop(volumes.KIND, row["id"])


def _offering(run: Run, volume: str) -> str:
    row = run.cloud.first("listVolumes", id=volume)
    return str((row or {}).get("diskofferingid", ""))


def _of_size(run: Run, volume: str, size_gb: int) -> Row | None:
    row = run.cloud.first("listVolumes", id=volume)
    return row if row is not None and volumes.size_gb(row) >= size_gb else None
