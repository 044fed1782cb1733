"""Workflows of snapshot schedules: put one on a disk, take it off, and change it on all disks that have it.

Apart from the handlers, which have checked everything that can be checked at once. The surprising thing: CloudStack has
one policy of each interval on a volume, and making a second one changes the first. So a schedule is changed by making
it again, which also keeps the count of the snapshots that the policy has taken.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import GceError
from gstack.operations import labels
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.store import overlay
from gstack.translate import schedules, snapshots, tags
from gstack.translate.schedules import Schedule

Row = dict[str, Any]

NEEDS = ("createSnapshotPolicy", "listSnapshotPolicies", "deleteSnapshotPolicies")


@workflow("op.disks.addResourcePolicies")
def add(run: Run, plan: Row) -> None:
    """``plan``: ``volume``, its id; ``disk``, GCE's name; ``schedule``, as it is stored."""
    attach(run, plan["volume"], plan["disk"], Schedule(**plan["schedule"]))


@workflow("op.disks.removeResourcePolicies")
def remove(run: Run, plan: Row) -> None:
    """``plan``: as of :func:`add`."""
    volume, schedule = plan["volume"], Schedule(**plan["schedule"])
    _drop(run, volume, plan["disk"], schedule)
    _mark(run, volume, None, before=schedule)


@workflow("op.resourcePolicies.patch")
def patch(run: Run, plan: Row) -> None:
    """``plan``: ``old`` and ``new``, as they are stored; ``key``, that of the row of the store; ``owner``."""
    old, new = Schedule(**plan["old"]), Schedule(**plan["new"])
    for user in run.step("users", _users, run, old):
        volume, disk = user["volume"], user["disk"]
        _put(run, volume, disk, new, before=old)
        if new.every != old.every:
            _drop(run, volume, disk, old)
        _mark(run, volume, new, before=old)
    content = {"owner": plan["owner"], "schedule": plan["new"]}
    run.step("remember", overlay.write, schedules.KIND, plan["key"], run.project.id, content)


def attach(run: Run, volume: str, disk: str, schedule: Schedule) -> None:
    """Put a schedule on the volume of a disk; taken off again if the operation fails."""
    _put(run, volume, disk, schedule, before=None)
    _mark(run, volume, schedule, before=None)


def _put(run: Run, volume: str, disk: str, schedule: Schedule, *, before: Schedule | None) -> None:
    """Make the policy, or change the one that was made of ``before``. One that another tool made is left alone."""
    run.step(f"look at {volume}", _check_free, run, volume, schedule)
    if before is not None and before.every == schedule.every:
        run.undo_job(f"the schedule of {disk}", "createSnapshotPolicy", before.params(volume, disk))
    else:
        run.undo(f"the schedule of {disk}", _discard, run, volume, schedule.every)
    run.job(f"schedule {volume}", "createSnapshotPolicy", schedule.params(volume, disk))


def _drop(run: Run, volume: str, disk: str, schedule: Schedule) -> None:
    found = run.step(f"find {volume}", _ours, run, volume, schedule.every)
    if found is not None:
        run.undo_job(f"the end of the schedule of {disk}", "createSnapshotPolicy", schedule.params(volume, disk))
        run.job(f"unschedule {volume}", "deleteSnapshotPolicies", {"id": found["id"]})


def _mark(run: Run, volume: str, schedule: Schedule | None, *, before: Schedule | None) -> None:
    run.undo("the mark of the disk", labels.put_marks_back, run, "Volume", volume, _marking(before))
    labels.mark(run, "Volume", volume, _marking(schedule), step=f" of {volume}")


def _marking(schedule: Schedule | None) -> dict[str, str | None]:
    return {schedules.MARK: schedule.mark() if schedule else None}


# What follows runs inside of steps.


def _policies(run: Run, volume: str, every: str) -> list[Row]:
    rows = run.cloud.list("listSnapshotPolicies", volumeid=volume)
    return [dict(row) for row in rows if row.get("intervaltype") == schedules.INTERVALS[every]]


def _check_free(run: Run, volume: str, schedule: Schedule) -> None:
    for row in _policies(run, volume, schedule.every):
        if schedules.MARK not in tags.own_values(row.get("tags") or ()):
            message = (
                f"CloudStack keeps one {schedule.every.lower()} schedule on a disk, and another tool has put one on "
                f"this disk already: {row['id']}."
            )
            raise GceError("failedPrecondition", message)


def _ours(run: Run, volume: str, every: str) -> Row | None:
    mine = [row for row in _policies(run, volume, every) if schedules.MARK in tags.own_values(row.get("tags") or ())]
    return {"id": mine[0]["id"]} if mine else None


def _discard(run: Run, volume: str, every: str) -> None:
    found = _ours(run, volume, every)
    if found is not None:
        run.obey("deleteSnapshotPolicies", {"id": found["id"]})


def _users(run: Run, schedule: Schedule) -> list[Row]:
    """The volumes that have a schedule, with the names of their disks as the policies have them."""
    found = []
    for row in run.cloud.list("listTags", resourcetype="Volume", key=tags.OWN + schedules.MARK):
        volume = str(row["resourceid"])
        marked = schedules.of_volume({"tags": [row]})
        if marked is None or marked.path != schedule.path:
            continue
        known = run.cloud.first("listVolumes", id=volume)
        if known is not None:
            found.append({"volume": volume, "disk": _disk(run, volume, schedule) or str(known["name"])})
    return found


def _disk(run: Run, volume: str, schedule: Schedule) -> str | None:
    for row in _policies(run, volume, schedule.every):
        disk = tags.own_values(row.get("tags") or ()).get(snapshots.DISK)
        if disk:
            return disk
    return None
