"""Volumes of templates that belong to no machine.

Apart because CloudStack has no command for one: createVolume takes no template, and only a machine's root volume is
made of one. So a machine is deployed and never started (its *carrier*), its root volume is taken out, and it is
destroyed. The surprising thing: nothing is copied meanwhile. Such a volume has no storage (state Allocated) until its
first use, and until then can do what any new volume can: grow, be deleted, be put into a machine as its root volume or
as another; it has no snapshots. What it is filled of then is told at
:func:`gstack.translate.volumes.awaited_template`.

Source: VolumeOrchestrator and VolumeApiServiceImpl of CloudStack 4.22, and what such a server did in a Basic zone and
in Advanced ones with and without security groups. A carrier counts against the account's quotas while it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from gstack.errors import GceError
from gstack.operations import attachments, labels, nics, states
from gstack.operations.run import Run
from gstack.store import overlay
from gstack.translate import machines, volumes
from gstack.translate.interfaces import deploy_parameters

Row = dict[str, Any]

HOSTNAME = "gstack-disk"
FORGOTTEN = timedelta(hours=1)  # no operation needs one for so long: its gateway has lost its database


def make(run: Run, plan: Row, begun: Callable[[str], None]) -> str:
    """Make a volume of a template, with its tags; its id.

    ``plan``: as of :func:`gstack.operations.disks.make`, with ``carrier``: ``deploy``, parameters of
    deployVirtualMachine, and ``interfaces``, of :attr:`gstack.translate.interfaces.Interface.plan`, empty where
    ``deploy`` says it all. ``begun`` is told the id as soon as there is one.
    """
    name, carrier = plan["create"]["name"], plan["carrier"]
    token = hashlib.blake2b(f"{run.name} {name}".encode()).hexdigest()[:12]
    own = {"name": f"{HOSTNAME}-{token}", "displayname": machines.CARRIER + token}
    run.step("forgotten carriers", _sweep, run)
    joined = nics.joined(run, carrier["interfaces"])
    params = {**carrier["deploy"], **(deploy_parameters(joined) if joined else {}), **own, "startvm": False}
    run.undo(f"the machine that carries the disk {name}", _discard, run, own["displayname"])
    machine = run.job("deploy", "deployVirtualMachine", params, find=lambda: _carrier(run, own["displayname"]))["id"]
    volume = run.step("root volume", attachments.root_of, run, machine)
    if volume is None:
        raise GceError("internalError", f"CloudStack made no root volume for the disk '{name}'.")
    begun(volume)
    run.undo(f"the disk {name}", _drop, run, volume)
    labels.create(run, "tags", "Volume", volume, plan["tags"])  # first: taken out without its mark it is 'root-7'
    attachments.detach(run, "take the disk out", volume)
    _dismiss(run, machine)
    return str(volume)


def _dismiss(run: Run, machine: str) -> None:
    """Destroy a carrier. The disk is whole, so it stays if that fails; the next one sweeps."""
    try:
        expunge = run.step("expunging", states.may_expunge, run)
        run.job("destroy", "destroyVirtualMachine", {"id": machine, "expunge": expunge or None})
    except GceError as error:
        run.warn("CLEANUP_FAILED", f"The machine that the disk was made with is left over: {error.message}")


# What follows runs inside of steps.


def _carrier(run: Run, shown: str) -> Row | None:
    rows = run.cloud.list("listVirtualMachines", keyword=shown, details=["min"])
    there = (row for row in rows if row.get("displayname") == shown and row["state"] not in machines.GONE)
    return next((dict(row) for row in there), None)


def _discard(run: Run, shown: str) -> None:
    row = _carrier(run, shown)
    if row is not None:
        run.obey("destroyVirtualMachine", {"id": row["id"], "expunge": states.may_expunge(run) or None})


def _drop(run: Run, volume: str) -> None:
    row = run.cloud.first("listVolumes", id=volume)
    if row is None:
        return
    if "virtualmachineid" in row:
        run.obey("detachVolume", {"id": volume})
    run.obey("deleteVolume", {"id": volume})
    overlay.drop(volumes.KIND, volume)


def _sweep(run: Run) -> None:
    """Destroy the carriers that nobody remembers, with their root volumes."""
    oldest = datetime.now(UTC) - FORGOTTEN
    for row in run.cloud.list("listVirtualMachines", keyword=machines.CARRIER, details=["min"]):
        known = machines.is_carrier(row.get("displayname")) and row["state"] not in machines.GONE
        if known and datetime.fromisoformat(row["created"]) < oldest:
            run.obey("destroyVirtualMachine", {"id": row["id"]})
