"""What only the operator changes: zones, compute and disk offerings, global settings.

Apart from the catalogue, which everybody reads. Surprising: an offering that is deleted is offered no more,
yet machines and volumes that have it go on and still name it.
"""

from __future__ import annotations

from ..call import Call
from ..errors import invalid
from ..model import Record, Row
from ..registry import command
from ..world import Table, date
from .catalogue import zone_row

STATES = ("Enabled", "Disabled")


@command("updateZone", "zone")
def update_zone(call: Call) -> Row:
    zone, state = call.need("id", Record), call.text("allocationstate")
    if state is not None:
        if state not in STATES:
            raise invalid(f"Unable to resolve Allocation State '{state}' to a supported state {', '.join(STATES)}")
        zone.row["allocationstate"] = state
    name = call.text("name")
    if name:
        zone.name = name
        zone.row["name"] = name
    return {"zone": zone_row(call, zone)}


def where(call: Call) -> Row:
    """The zones that an offering is limited to: ids and names, each in one string."""
    zones = [zone for zone in call.entities("zoneid", Record) or () if zone.name]
    if not zones:
        return {}
    return {"zoneid": ",".join(zone.id for zone in zones), "zone": ",".join(zone.name for zone in zones)}


def add(call: Call, table: Table[Record], row: Row) -> Record:
    name = str(row["name"])
    return table.add(Record(str(row["id"]), table.take_number(), name, row))


def sizes(call: Call) -> Row:
    """CPU and memory; what a custom offering leaves open is absent from its row."""
    row: Row = {key: call.number(key) for key in ("cpunumber", "cpuspeed", "memory") if key in call.args}
    bounds = ("mincpunumber", "maxcpunumber", "minmemory", "maxmemory")
    limits = {key: str(call.number(key)) for key in bounds if key in call.args}
    if limits:
        row["serviceofferingdetails"] = limits
    return row


@command("createServiceOffering")
def create_service_offering(call: Call) -> Row:
    world, name = call.world, call.text("name") or ""
    text, shape = call.text("displaytext") or name, sizes(call)
    custom = call.flag("customized") or len(shape.keys() & {"cpunumber", "cpuspeed", "memory"}) < 3
    row: Row = {"id": world.uuid(), "name": name, "state": "Active", "displaytext": text, **shape}
    row.update(created=date(world.now()), storagetype="shared", provisioningtype="thin")
    row.update(offerha=call.flag("offerha"), limitcpuuse=call.flag("limitcpuuse"), isvolatile=False, **where(call))
    row.update(issystem=False, defaultuse=False, iscustomized=custom, rootdisksize=call.number("rootdisksize") or 0)
    row["dynamicscalingenabled"] = call.flag("dynamicscalingenabled", True)
    row.update(diskofferingstrictness=False, diskofferingid=world.uuid(), diskofferingname=name)
    row.update(diskofferingdisplaytext=text, encryptroot=False, gpudisplay=False, hasannotations=False)
    return {"serviceoffering": add(call, world.service_offering, row).row}


@command("createDiskOffering")
def create_disk_offering(call: Call) -> Row:
    world, name = call.world, call.text("name") or ""
    size, custom = call.number("disksize"), call.flag("customized")
    if size is None and not custom:
        raise invalid("Disksize is required for a non-customized disk offering")
    row: Row = {"id": world.uuid(), "name": name, "state": "Active", "displaytext": call.text("displaytext") or name}
    row.update(disksize=0 if custom else size, created=date(world.now()), iscustomized=custom)
    if call.text("tags"):
        row["tags"] = call.text("tags")
    row.update(where(call))
    row.update(storagetype="shared", provisioningtype="thin", disksizestrictness=False, encrypt=False)
    row.update(displayoffering=True, hasannotations=False)
    return {"diskoffering": add(call, world.disk_offering, row).row}


def retire(call: Call) -> Row:
    offering = call.need("id", Record)
    offering.removed = True
    return {"success": True}


@command("deleteServiceOffering", "service_offering")
def delete_service_offering(call: Call) -> Row:
    return retire(call)


@command("deleteDiskOffering", "disk_offering")
def delete_disk_offering(call: Call) -> Row:
    return retire(call)


@command("updateConfiguration")
def update_configuration(call: Call) -> Row:
    """Sets what `Settings` knows; anything else is no setting of this cloud."""
    settings, name, value = call.simulator.settings, call.text("name") or "", call.text("value")
    if name not in settings.values:
        raise invalid(f"Config parameter with name {name} doesn't exist")
    if value is not None:
        settings[name] = settings.like(name, value)
    return {"configuration": {"category": "Advanced", "name": name, "value": str(settings.values[name])}}
