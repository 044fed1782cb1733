"""Volumes put into machines and taken out of them.

Apart because making, changing and deleting an instance all do it. The surprising thing: a machine that is to boot from
a volume that is there is deployed with a root volume of its own, stopped; that one is taken out and deleted, and the
wanted one takes its place. CloudStack deploys straight from a volume on KVM with zone-wide storage only; this works on
every hypervisor whose root volumes can be detached.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import GceError, not_found
from gstack.operations import labels, schedules, states
from gstack.operations.run import Run
from gstack.store import overlay
from gstack.translate import volumes
from gstack.translate.schedules import Schedule

Row = dict[str, Any]

ROOT_DEVICE = 0


def attach(run: Run, step: str, volume: str, machine: str, device: int | None = None) -> None:
    """Attach a volume, at a place on the bus or at the next free one."""
    params: Row = {"id": volume, "virtualmachineid": machine}
    if device is not None:
        params["deviceid"] = device
    run.job(step, "attachVolume", params, find=lambda: _attached(run, volume, machine))


def detach(run: Run, step: str, volume: str) -> None:
    """Detach a volume from whatever it is attached to."""
    run.job(step, "detachVolume", {"id": volume}, find=lambda: _detached(run, volume))


def fill(run: Run, machine: str, boot: Row, extras: list[Row], *, cold: str | None) -> str | None:
    """Give a new machine its disks, those of :class:`gstack.translate.instance_disks.Boot` and ``Extra``. ``cold`` is
    the template of one that waits for them to be started; schedules come after that, as storage does. The sealed
    password that the first start said, or None."""
    said: Row = {}
    if boot["volume"]:
        _mark(run, boot)
        _replace_boot(run, boot, machine)
    elif boot["tags"] or boot["overlay"] or boot["schedule"]:
        boot = boot | {"volume": _boot_of(run, machine)}
        _mark(run, boot)
    for extra in extras:
        _mark(run, extra)
        attach(run, f"attach {extra['name']}", extra["volume"], machine)
        if cold is not None and extra["awaits"] not in (None, cold):
            run.step(f"what {extra['name']} is of", _require_unfilled, run, extra)
    if cold is not None:
        said = run.job(
            "start", "startVirtualMachine", {"id": machine}, find=lambda: states.in_state(run, machine, "Running")
        )
    for disk in [boot, *extras]:
        _remember(run, disk)
        _schedule(run, disk)
    return said.get("password")


def _boot_of(run: Run, machine: str) -> str:
    volume = run.step("boot disk", root_of, run, machine)
    if volume is None:
        raise GceError("internalError", f"CloudStack shows no boot disk of '{run.target}'.")
    return str(volume)


def _replace_boot(run: Run, boot: Row, machine: str) -> None:
    """Put ``boot["volume"]`` in the place of the root volume of a machine that was never started."""
    spare = run.step("the disk to give way", root_of, run, machine)
    if spare is not None and spare != boot["volume"]:
        run.undo("the disk that gave way", _drop_detached, run, spare)
        detach(run, "take out the disk to give way", spare)
        run.job("delete the disk that gave way", "deleteVolume", {"id": spare})
    attach(run, f"attach {boot['name']}", boot["volume"], machine, ROOT_DEVICE)


# What follows runs inside of steps.


def rename_device(run: Run, volume: str, said: Row) -> None:
    """Remember what is said of a disk in place of its device name, which is that of one attachment only."""
    known = overlay.read(volumes.KIND, volume)
    kept = {member: value for member, value in known.items() if member != "deviceName"} | said
    if not kept:
        overlay.drop(volumes.KIND, volume)
    elif kept != known:
        overlay.write(volumes.KIND, volume, run.project.id, kept)


def root_of(run: Run, machine: str) -> str | None:
    """The id of a machine's root volume."""
    rows = run.cloud.list("listVolumes", virtualmachineid=machine, type="ROOT")
    return str(rows[0]["id"]) if rows else None


def template_of(run: Run, volume: str) -> str:
    """The template that a volume came of, at first or second hand. Raises GceError where CloudStack knows none."""
    row = run.cloud.first("listVolumes", id=volume)
    if row is None:
        raise not_found(run.target)
    template = row.get("templateid")
    if not template:
        message = f"'{row['name']}' was not made of an image; CloudStack cannot tell what machine would boot from it."
        raise GceError("failedPrecondition", message)
    return str(template)


def release(run: Run, machine: Row, volume: str) -> None:
    """Take a boot disk that is not the operation's own out of a machine that is about to be destroyed."""
    row = run.cloud.first("listVolumes", id=volume)
    if row is None or row.get("virtualmachineid") != machine["id"]:
        return
    if machine["state"] != "Stopped":
        run.obey("stopVirtualMachine", {"id": machine["id"], "forced": True})
    run.obey("detachVolume", {"id": volume})


def _mark(run: Run, disk: Row) -> None:
    name, volume = disk["name"], disk["volume"]
    if disk["untag"]:
        params = {"resourcetype": "Volume", "resourceids": [volume], "tags": disk["untag"]}
        run.job(f"old tags of {name}", "deleteTags", params)
    labels.create(run, f"tags of {name}", "Volume", volume, disk["tags"])


def _remember(run: Run, disk: Row) -> None:
    there = disk["volume"] and not disk["make"]
    if disk["overlay"] or there:
        run.step(f"remember {disk['name']}", rename_device, run, disk["volume"], disk["overlay"])


def _schedule(run: Run, disk: Row) -> None:
    if disk["schedule"] is not None:
        schedules.attach(run, disk["volume"], disk["name"], Schedule(**disk["schedule"]))


def _require_unfilled(run: Run, disk: Row) -> None:
    """See that CloudStack has not given a volume the content of its machine's template instead of its own. It does so
    where it finds storage before it has a host: VolumeApiServiceImpl.createVolumeOnPrimaryForAttachIfNeeded."""
    row = run.cloud.first("listVolumes", id=disk["volume"])
    if row is not None and row["state"] != "Allocated":
        why = "CloudStack fills disks of images with the image of their instance here, where storage is for whole zones"
        raise GceError("failedPrecondition", f"The disk '{disk['name']}' cannot be of another image: {why}.")


def _drop_detached(run: Run, volume: str) -> None:
    row = _detached(run, volume)
    if row is not None and row["state"] not in volumes.GONE:
        run.obey("deleteVolume", {"id": volume})


def _attached(run: Run, volume: str, machine: str) -> Row | None:
    row = run.cloud.first("listVolumes", id=volume)
    return row if row is not None and row.get("virtualmachineid") == machine else None


def _detached(run: Run, volume: str) -> Row | None:
    row = run.cloud.first("listVolumes", id=volume)
    return row if row is not None and "virtualmachineid" not in row else None
