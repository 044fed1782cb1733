"""Snapshots in other zones, and snapshots out of those of whole machines.

Apart from taking snapshots. Surprising: a copy is the same snapshot under the same id, which from then on is listed
once for each zone; and a snapshot of a machine gives none of a volume away unless the hypervisor is KVM, which that of
the recorded cloud is not. Checks and texts are those of CloudStack's `SnapshotManagerImpl`.
"""

from __future__ import annotations

from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..model import Record, Row, Snapshot, Volume
from ..model_owned import MachineSnapshot
from ..registry import command
from . import machines, snapshots, volumes


def asked_zones(call: Call) -> list[Record]:
    one = call.entity("destzoneid", Record)
    return [one] if one is not None else call.entities("destzoneids", Record) or []


@command("copySnapshot", "snapshot")
def copy(call: Call) -> Row:
    snapshot = call.entity("id", Snapshot)
    source = call.entity("sourcezoneid", Record)

    def work() -> Steps:
        if snapshot is None:
            raise invalid("Unable to find snapshot with id")
        targets, first = asked_zones(call), source.id if source is not None else snapshot.zone
        if snapshot.state != "BackedUp":
            raise invalid("Snapshot is not backed up")
        if not targets:
            raise invalid("Please specify valid destination zone(s).")
        if any(zone.id == first for zone in targets):
            raise invalid("Please specify different source and destination zones.")
        if not call.reaches(snapshot):
            raise ApiError(530, "Caller does not have permission to operate with provided resource.")
        if first not in (snapshot.zone, *snapshot.copies):
            raise invalid(f"There is no snapshot ID: {snapshot.id} ready on image store")
        yield 0.4
        known = (snapshot.zone, *snapshot.copies)
        snapshot.copies.extend(zone.id for zone in targets if zone.id not in known)
        return {"snapshot": snapshots.view(call, snapshot, in_job=True)}

    return call.later(work, snapshot)


@command("createSnapshotFromVMSnapshot")
def create_from_machine(call: Call) -> Row:
    whole, volume = call.need("vmsnapshotid", MachineSnapshot), call.need("volumeid", Volume)
    machine = call.world.machine[whole.machine]
    if volume.machine != machine.id:
        shown, what = volumes.described(volume, machine), machines.described(machine)
        raise invalid(f"Creating snapshot failed due to volume:{shown} doesn't attach to vm :{what}")
    key = call.world.uuid()

    def work() -> Steps:
        raise invalid("Unsupported hypervisor type Simulator. This supports KVM only")
        yield 0.0

    return {"id": key, "jobid": call.submit(work, volume).id}
