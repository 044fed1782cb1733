"""Volumes destroyed and recovered, and volumes that change their offering.

Apart from the plain life of a volume. Surprising: a destroyed volume stays listed until it is recovered or
expunged, and whether it hangs on a machine is asked only in the job.
"""

from __future__ import annotations

from ..call import Call
from ..errors import denied, invalid
from ..jobs import Steps
from ..model import Record, Row, Volume
from ..registry import command
from . import volumes

FORBIDDEN = "can only be done by an Admin. Or when the allow.user.expunge.recover.volume key is set."


def may_recover(call: Call) -> bool:
    return call.is_root or call.simulator.settings.flag("allow.user.expunge.recover.volume")


@command("destroyVolume", "volume")
def destroy(call: Call) -> Row:
    volume, expunges = call.need("id", Volume), call.flag("expunge")

    def work() -> Steps:
        if volume.machine is not None:
            raise invalid(volumes.ATTACHED)
        if volume.state == "Snapshotting":
            raise invalid("There are snapshot creating on it, Unable to delete the volume")
        if expunges and not may_recover(call):
            raise denied(f"Expunging a volume {FORBIDDEN}")
        yield 0.2
        volume.state = "Destroy"
        row = volumes.view(call, volume)
        if expunges:
            volumes.forget(call, volume)
        return {"volume": row}

    return call.later(work, volume)


@command("recoverVolume", "volume")
def recover(call: Call) -> Row:
    volume = call.need("id", Volume)
    if not may_recover(call):
        raise denied(f"Recovering a volume {FORBIDDEN}")
    if volume.state != "Destroy":
        raise invalid("Please specify a volume in Destroy state.")
    volume.state = "Ready" if volume.pool else "Allocated"
    return {"volume": volumes.view(call, volume)}


@command("changeOfferingForVolume", "volume")
def change_offering(call: Call) -> Row:
    volume, offering = call.need("id", Volume), call.need("diskofferingid", Record)
    size = call.number("size")

    def work() -> Steps:
        if volume.state not in ("Allocated", "Ready"):
            raise invalid(f"Volume {volume.id} is in state {volume.state}, its offering cannot change")
        if volume.disk_offering == offering.id and size is None:
            raise invalid(f"Volume {volume.id} already has the new disk offering {offering.id} provided.")
        target = volumes.wanted_size(call, volume, offering, size or volume.size // volumes.GIB)
        yield from volumes.resized(call, volume, target, call.flag("shrinkok"))
        volume.disk_offering = offering.id
        return {"volume": volumes.view(call, volume)}

    return call.later(work, key=volume.machine or volume.id)
